/**
 * Tells a store from its copies. A witness lies beside the store and its token changes whenever it is renewed or
 * copied, while the store remembers the token of its own witness: a restored backup or a copied directory does not
 * match and gets a new identity (a rolled-back disk image does match; the fork tripwire is for that).
 */
import type { Random } from '../base/random.ts'

export interface Witness {
  /** @returns the token now, undefined when there is none. */
  read(): Promise<string | undefined>
  /** Replaces the witness, durably. @returns its new token. */
  renew(random: Random): Promise<string>
}

/** For stores in memory. `copy` is what copying the directory does: same bytes, another token. */
export interface MemoryWitness extends Witness {
  copy(random: Random): MemoryWitness
}

export function createMemoryWitness(start?: string): MemoryWitness {
  let token = start
  return {
    read: () => Promise.resolve(token),
    renew(random) {
      token = String(random.uint32())
      return Promise.resolve(token)
    },
    copy: (random) => createMemoryWitness(`copy ${random.uint32()}`),
  }
}
