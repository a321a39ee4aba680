/**
 * The libp2p certificate (specs/tls/tls.md): self-signed by a key of its own, with one extension that carries the
 * device's public key and its signature over the certificate's key. Written here since the general X.509 packages that
 * `@libp2p/tls` brings keep 16 MB resident for these two functions; parsing and signatures are OpenSSL's, only the
 * extension is looked for by der.ts. Checked against `@libp2p/tls` both ways in the tests.
 *
 * Ours are valid at any time: a board without a clock of its own starts in 1970, and the validity of a certificate that
 * its holder signed itself proves nothing. For the same reason that of others is not looked at.
 */
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { SkeinError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { der, derTag, readDer, readDerSequence } from './der.ts'

export interface DeviceCertificate {
  /** PEM. */
  readonly cert: string
  /** PKCS#8 as PEM. */
  readonly key: string
}

const signedText = Buffer.from('libp2p-tls-handshake:')
/** 1.3.6.1.4.1.53594.1.1 */
const extensionId = Uint8Array.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xa2, 0x5a, 0x01, 0x01)
/** SEQUENCE { ecdsa-with-SHA256 (1.2.840.10045.4.3.2) } */
const signatureAlgorithm = der(
  derTag.sequence,
  der(derTag.objectId, Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)),
)
const always = der(
  derTag.sequence,
  der(derTag.utcTime, Buffer.from('700101000000Z')),
  der(derTag.generalizedTime, Buffer.from('99991231235959Z')),
)
/** More than any certificate of a device has; OpenSSL has read it by then. */
const maxCertificateBytes = 8 * 1024

export async function createDeviceCertificate(
  random: Random,
  privateKey: PrivateKey,
): Promise<DeviceCertificate> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subjectKey = pair.publicKey.export({ type: 'spki', format: 'der' })
  const signature = await privateKey.sign(Buffer.concat([signedText, subjectKey]))
  const signedKey = der(
    derTag.sequence,
    der(derTag.octetString, publicKeyToProtobuf(privateKey.publicKey)),
    der(derTag.octetString, signature),
  )
  const serial = random.bytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // positive, and not shortened by leading zeros
  const noName = der(derTag.sequence)
  const body = der(
    derTag.sequence,
    der(derTag.version, der(derTag.integer, Uint8Array.of(2))),
    der(derTag.integer, serial),
    signatureAlgorithm,
    noName,
    always,
    noName,
    subjectKey,
    der(
      derTag.extensions,
      der(
        derTag.sequence,
        der(
          derTag.sequence,
          der(derTag.objectId, extensionId),
          der(derTag.boolean, Uint8Array.of(0xff)),
          der(derTag.octetString, signedKey),
        ),
      ),
    ),
  )
  const proof = sign('sha256', body, pair.privateKey)
  const certificate = der(
    derTag.sequence,
    body,
    signatureAlgorithm,
    der(derTag.bitString, Uint8Array.of(0), proof),
  )
  return {
    cert: new X509Certificate(certificate).toString(),
    key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** @param raw DER. @returns whose it is. @throws `auth.invalid` when it does not prove that. */
export async function verifyDeviceCertificate(raw: Uint8Array): Promise<PeerId> {
  try {
    return await readDeviceCertificate(raw)
  } catch (error) {
    throw new SkeinError('auth.invalid', 'the certificate of the remote is not valid', { cause: error })
  }
}

async function readDeviceCertificate(raw: Uint8Array): Promise<PeerId> {
  if (raw.byteLength > maxCertificateBytes) throw invalid('too long')
  const certificate = new X509Certificate(raw)
  if (!certificate.checkIssued(certificate) || !certificate.verify(certificate.publicKey))
    throw invalid('not signed by its own key')
  const [keyBytes, signature, ...more] = readDerSequence(findExtension(raw))
  if (keyBytes?.tag !== derTag.octetString || signature?.tag !== derTag.octetString || more.length > 0)
    throw invalid('its extension is malformed')
  const deviceKey = publicKeyFromProtobuf(keyBytes.content)
  if (deviceKey.type !== 'Ed25519') throw invalid(`a device key of type ${deviceKey.type}`)
  const subjectKey = certificate.publicKey.export({ type: 'spki', format: 'der' })
  const isSigned = await deviceKey.verify(Buffer.concat([signedText, subjectKey]), signature.content)
  if (!isSigned) throw invalid('the device key did not sign it')
  return peerIdFromPublicKey(deviceKey)
}

/** The content of the one libp2p extension. Others may stand beside it unless they are critical, as X.509 has it. */
function findExtension(raw: Uint8Array): Uint8Array {
  const [body] = readDerSequence(raw)
  if (body?.tag !== derTag.sequence) throw invalid('it has no body')
  const list = readDer(body.content).find(({ tag }) => tag === derTag.extensions)
  if (list === undefined) throw invalid('it has no extensions')
  let found: Uint8Array | undefined
  for (const { content } of readDerSequence(list.content)) {
    const [id, ...rest] = readDer(content)
    const value = rest.at(-1)
    if (id?.tag !== derTag.objectId || value?.tag !== derTag.octetString || rest.length > 2)
      throw invalid('an extension is malformed')
    const isOurs = Buffer.compare(id.content, extensionId) === 0
    if (isOurs && found !== undefined) throw invalid('the extension stands in it twice')
    if (isOurs) found = value.content
    else if (rest.length === 2 && rest[0]?.content[0] !== 0)
      throw invalid('it has an unknown critical extension')
  }
  if (found === undefined) throw invalid('it names no device')
  return found
}

const invalid = (why: string): SkeinError => new SkeinError('auth.invalid', why)
