/** The operating system's randomness, fit for keys. */
import type { Random } from './random.ts'

export function createSystemRandom(): Random {
  const word = new Uint32Array(1)
  const uint32 = (): number => {
    globalThis.crypto.getRandomValues(word)
    return word[0] ?? 0
  }
  return {
    uint32,
    float: () => uint32() / 0x1_0000_0000,
    bytes(length) {
      const out = new Uint8Array(length)
      // getRandomValues refuses more than 65,536 bytes a call
      for (let offset = 0; offset < length; offset += 65_536) {
        globalThis.crypto.getRandomValues(out.subarray(offset, Math.min(length, offset + 65_536)))
      }
      return out
    },
  }
}
