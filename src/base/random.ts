/** Chance as a collaborator. Keys and nonces come from a system Random; simulations use a seeded one. */

export interface Random {
  /** Fresh bytes, owned by the caller. */
  bytes(length: number): Uint8Array<ArrayBuffer>
  /** Uniform in 0..2^32-1. */
  uint32(): number
  /** Uniform in [0, 1). */
  float(): number
}

/** Deterministic generator (xoshiro128**, Blackman and Vigna 2018), never for secrets. Same seed, same stream. */
export function createSeededRandom(seed: number): Random {
  const state = new Uint32Array(4)
  let mix = seed >>> 0
  for (let index = 0; index < 4; index++) {
    // splitmix32, so that neighbouring seeds give unrelated streams
    mix = (mix + 0x9e3779b9) >>> 0
    let value = mix
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
    state[index] = (value ^ (value >>> 16)) >>> 0
  }
  const rotateLeft = (value: number, bits: number): number =>
    ((value << bits) | (value >>> (32 - bits))) >>> 0
  const next = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state
    const result = Math.imul(rotateLeft(Math.imul(b, 5) >>> 0, 7), 9) >>> 0
    const c2 = c ^ a
    const d2 = d ^ b
    state[1] = b ^ c2
    state[0] = a ^ d2
    state[2] = c2 ^ (b << 9)
    state[3] = rotateLeft(d2 >>> 0, 11)
    return result
  }
  return {
    uint32: next,
    float: () => next() / 0x1_0000_0000,
    bytes(length) {
      const out = new Uint8Array(length)
      for (let index = 0; index < length; index++) out[index] = next() & 0xff
      return out
    },
  }
}

/** Uniform integer in 0..bound-1. */
export function randomBelow(random: Random, bound: number): number {
  return Math.floor(random.float() * bound)
}
