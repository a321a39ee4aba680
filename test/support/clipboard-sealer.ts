/** A key ring of the clipboard for tests of its documents: AES-256-GCM under keys made from a number. */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto'
import type { ClipboardSealer } from '../../src/crdt/clipboard-sealer.ts'

export interface TestSealer extends ClipboardSealer {
  /** Has this key from now on, and seals under it. */
  use(number: number): void
  learn(number: number): void
}

const keyOf = (number: number): Uint8Array => createHash('sha256').update(`test key ${number}`).digest()
const idOf = (number: number): Uint8Array => keyOf(number + 1_000_000).subarray(0, 8)
const hexOf = (number: number): string => Buffer.from(idOf(number)).toString('hex')

export function createTestSealer(first = 1): TestSealer {
  const keys = new Map([[hexOf(first), createSecretKey(keyOf(first))]])
  let current = first
  const learn = (number: number): void => void keys.set(hexOf(number), createSecretKey(keyOf(number)))
  return {
    learn,
    use(number) {
      learn(number)
      current = number
    },
    has: (id) => keys.has(id),
    current: () =>
      Promise.resolve({
        id: idOf(current),
        seal(plain, authenticated) {
          const nonce = randomBytes(12)
          const cipher = createCipheriv('aes-256-gcm', keyOf(current), nonce)
          cipher.setAAD(authenticated)
          const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
          return new Uint8Array(sealed)
        },
      }),
    open(id, sealed, authenticated) {
      const key = keys.get(id)
      if (key === undefined || sealed.byteLength < 28) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12))
      decipher.setAAD(authenticated)
      decipher.setAuthTag(sealed.subarray(-16))
      try {
        return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
      } catch {
        return undefined // because: that is what an answer of no key looks like
      }
    },
  }
}
