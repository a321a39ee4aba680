/**
 * The cryptography of noise, faster on Node: ChaCha20-Poly1305 in WebAssembly for short messages, native above with
 * the key imported once. (On Node 24 `createCipheriv` with raw key bytes costs about 10 us more than with a KeyObject.)
 * Same bytes on the wire as the package's own, which does the rest: hashes, X25519, HKDF.
 */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import type { ICryptoInterface } from '@chainsafe/libp2p-noise'
import { asCrypto, defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import { Uint8ArrayList } from 'uint8arraylist'

/** Measured: below this the call into native code costs more than it saves. */
const nativeFromBytes = 600
const tagBytes = 16
const cipherName = 'chacha20-poly1305'

export function createNoiseCrypto(): ICryptoInterface {
  // A connection keeps one array per direction for its life; the entry goes with it
  const keys = new WeakMap<Uint8Array, KeyObject>()
  const keyOf = (bytes: Uint8Array): KeyObject => {
    let key = keys.get(bytes)
    if (key === undefined) {
      key = createSecretKey(bytes)
      keys.set(bytes, key)
    }
    return key
  }
  return {
    ...defaultCrypto,
    chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
      if (plaintext.byteLength < nativeFromBytes)
        return asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      const cipher = createCipheriv(cipherName, keyOf(key), nonce, { authTagLength: tagBytes })
      if (ad.byteLength > 0) cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
      const output = new Uint8ArrayList()
      for (const part of parts(plaintext)) output.append(cipher.update(part))
      cipher.final() // a stream cipher holds nothing back
      output.append(cipher.getAuthTag())
      return asBytes(output)
    },
    chaCha20Poly1305Decrypt(ciphertext, nonce, ...[ad, key, destination]) {
      if (ciphertext.byteLength < nativeFromBytes) {
        return asCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, destination)
      }
      const textBytes = ciphertext.byteLength - tagBytes
      const decipher = createDecipheriv(cipherName, keyOf(key), nonce, { authTagLength: tagBytes })
      if (ad.byteLength > 0) decipher.setAAD(ad, { plaintextLength: textBytes })
      decipher.setAuthTag(ciphertext.subarray(textBytes))
      const output = new Uint8ArrayList()
      const text =
        ciphertext instanceof Uint8Array
          ? ciphertext.subarray(0, textBytes)
          : ciphertext.sublist(0, textBytes)
      for (const part of parts(text)) output.append(decipher.update(part))
      decipher.final() // throws when the tag does not fit; nothing was handed out before
      return asBytes(output)
    },
  }
}

/** What noise hands over and takes: it may have another version of the list class, they know each other by symbol. */
type Bytes = Parameters<ICryptoInterface['chaCha20Poly1305Encrypt']>[0]
// because: see Bytes
const asBytes = (list: Uint8ArrayList): Bytes => list as unknown as Bytes

const parts = (bytes: Bytes): Iterable<Uint8Array> => (bytes instanceof Uint8Array ? [bytes] : bytes)
