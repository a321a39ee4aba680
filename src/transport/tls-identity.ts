/**
 * Who stands behind a TLS 1.3 socket: the libp2p certificate, self-signed, carries the device key and its signature
 * over the certificate's own key (specs/tls/tls.md). Both sides present one; OpenSSL checks that they hold its key.
 */
import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { SkeinError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { createDeviceCertificate, verifyDeviceCertificate } from './device-certificate.ts'

/** Both sides must offer it: TLS with a libp2p certificate, yamux inside, without further negotiation. */
export const tlsProtocol = 'skein-yamux/1'

/** Options of both roles. The certificate is made once for the life of the host. */
export async function createTlsIdentity(
  random: Random,
  privateKey: PrivateKey,
): Promise<SecureContextOptions> {
  const { cert, key } = await createDeviceCertificate(random, privateKey)
  return {
    cert,
    key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: cipherOrder(),
    honorCipherOrder: true,
    // A client without AES instructions puts ChaCha20 first: then the server follows it. No tickets: each
    // connection proves its key anew
    secureOptions: constants.SSL_OP_PRIORITIZE_CHACHA | constants.SSL_OP_NO_TICKET,
  }
}

/**
 * The identity of the remote. @param expected only this one will do.
 * @throws `auth.denied` for another key than expected, `auth.invalid` when there is no valid certificate.
 */
export async function verifyRemote(socket: TLSSocket, expected: PeerId | undefined): Promise<PeerId> {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined || socket.alpnProtocol !== tlsProtocol) {
    throw new SkeinError('auth.invalid', 'the remote shows no device certificate')
  }
  const peerId = await verifyDeviceCertificate(new Uint8Array(certificate.raw))
  if (expected !== undefined && !expected.equals(peerId)) {
    throw new SkeinError('auth.denied', `another device answers: ${peerId.toString()}`)
  }
  return peerId
}

/** AES-128-GCM is the fastest where the processor has instructions for it, ChaCha20 elsewhere. */
export function cipherOrder(hasAes: boolean = hasAesInstructions()): string {
  const aes = 'TLS_AES_128_GCM_SHA256'
  const chacha = 'TLS_CHACHA20_POLY1305_SHA256'
  return hasAes ? `${aes}:${chacha}:TLS_AES_256_GCM_SHA384` : `${chacha}:${aes}:TLS_AES_256_GCM_SHA384`
}

function hasAesInstructions(): boolean {
  if (process.arch === 'x64') return true
  if (process.arch !== 'arm64') return false
  if (process.platform !== 'linux') return true
  try {
    // Small ARM boards (Raspberry Pi 4 and older) are ARMv8 without the crypto extension
    return /^Features\s*:.*\baes\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return false // because: no /proc, no knowledge; ChaCha20 is the safe choice
  }
}
