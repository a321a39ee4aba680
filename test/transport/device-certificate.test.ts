import { X509Certificate } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { generateCertificate, verifyPeerCertificate } from '@libp2p/tls/utils'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { SkeinError } from '../../src/base/errors.ts'
import { der, derTag, readDer, readDerSequence } from '../../src/transport/der.ts'
import { createDeviceCertificate, verifyDeviceCertificate } from '../../src/transport/device-certificate.ts'

const { random } = createSystemEnv()
const rawOf = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).raw)

describe('device certificate', () => {
  test('ours convinces libp2p, and libp2p’s convinces us', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const peerId = peerIdFromPrivateKey(privateKey)
    const ours = rawOf((await createDeviceCertificate(random, privateKey)).cert)
    expect((await verifyPeerCertificate(ours)).equals(peerId)).toBe(true)
    expect((await verifyDeviceCertificate(ours)).equals(peerId)).toBe(true)
    const theirs = rawOf((await generateCertificate(privateKey)).cert)
    expect((await verifyDeviceCertificate(theirs)).equals(peerId)).toBe(true)
  })

  test('ours is valid whatever the clock of the other side says', async () => {
    const { cert } = await createDeviceCertificate(random, await generateKeyPair('Ed25519'))
    const { validFromDate, validToDate } = new X509Certificate(cert)
    expect(validFromDate.getTime()).toBe(0)
    expect(validToDate.getUTCFullYear()).toBe(9999)
  })

  test('two are never alike', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const [one, two] = [
      await createDeviceCertificate(random, privateKey),
      await createDeviceCertificate(random, privateKey),
    ]
    expect(one.key).not.toBe(two.key)
    expect(new X509Certificate(one.cert).serialNumber).not.toBe(new X509Certificate(two.cert).serialNumber)
  })

  test('the extension of one device does not fit the certificate of another', async () => {
    const [victim, attacker] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
    const stolen = rawOf((await createDeviceCertificate(random, victim)).cert)
    const own = rawOf((await createDeviceCertificate(random, attacker)).cert)
    // The same lengths throughout: the victim's device key and signature in the place of the attacker's
    const marker = Buffer.from([0x08, 0x01, 0x12, 0x20])
    const [from, to] = [Buffer.from(stolen).indexOf(marker), Buffer.from(own).indexOf(marker)]
    const span = 4 + 32 + 2 + 64
    const forged = Uint8Array.from(own)
    forged.set(stolen.subarray(from, from + span), to)
    await expect(verifyDeviceCertificate(forged)).rejects.toMatchObject({ code: 'auth.invalid' })
  })

  test('another kind of key, no certificate at all, and one that is too long are refused', async () => {
    const secp = rawOf((await generateCertificate(await generateKeyPair('secp256k1'))).cert)
    const good = rawOf((await createDeviceCertificate(random, await generateKeyPair('Ed25519'))).cert)
    for (const bytes of [secp, new Uint8Array(0), new Uint8Array(9_000), Buffer.concat([good, good])]) {
      await expect(verifyDeviceCertificate(bytes)).rejects.toMatchObject({ code: 'auth.invalid' })
    }
  })

  test('a changed byte anywhere is refused, and what is not refused names the same device', async () => {
    const privateKey = await generateKeyPair('Ed25519')
    const good = rawOf((await createDeviceCertificate(random, privateKey)).cert)
    const peerId = peerIdFromPrivateKey(privateKey)
    for (let index = 0; index < good.byteLength; index++) {
      for (const change of [0x01, 0x80, 0xff]) {
        const bad = Uint8Array.from(good)
        bad[index] = (bad[index] ?? 0) ^ change
        const verdict = await verifyDeviceCertificate(bad).catch((error: unknown) => error)
        if (verdict instanceof SkeinError) expect(verdict.code).toBe('auth.invalid')
        else expect(verdict).toSatisfy((other: { equals(id: unknown): boolean }) => other.equals(peerId))
      }
    }
  })
})

describe('DER', () => {
  test('what is written is read', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 20 }), (contents) => {
        const values = readDerSequence(
          der(derTag.sequence, ...contents.map((content) => der(derTag.octetString, content))),
        )
        expect(values.map(({ content }) => Buffer.from(content))).toEqual(
          contents.map((content) => Buffer.from(content)),
        )
      }),
    )
  })

  test('any bytes are read or refused, never beyond their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          const total = readDer(bytes).reduce((sum, { content }) => sum + content.byteLength + 2, 0)
          expect(total).toBeLessThanOrEqual(bytes.byteLength)
        } catch (error) {
          expect(error).toMatchObject({ code: 'codec.invalid' })
        }
      }),
      { numRuns: 5_000 },
    )
  })

  test('lengths in a longer form, endless and beyond the end are refused', () => {
    for (const bytes of [
      [0x30, 0x81, 0x05, 0, 0, 0, 0, 0],
      [0x30, 0x80, 0, 0],
      [0x30, 0x82, 0, 0x90],
      [0x30],
      [0x04, 2, 1],
      [0x1f, 0x81, 1],
    ])
      expect(() => readDer(Uint8Array.from(bytes))).toThrow(
        expect.objectContaining({ code: 'codec.invalid' }),
      )
  })
})
