/**
 * What to do about a kept file that cannot be read. Most can be moved away, at a price that is named; identity and
 * roster cannot be made up again: they come from a backup, or the device starts over.
 */
import { basename } from 'node:path'
import { SkeinError } from '../base/errors.ts'

/** By the start of the file's name: what moving it away costs. */
const prices: readonly (readonly [string, string])[] = [
  ['mesh-key', 'the other devices hand the key out again'],
  ['spaces', 'the files stay; join the shared folders again (skein join)'],
  ['audit-head', 'the other device hands it out again'],
  ['audit', 'a new record begins; keep the old one for examination'],
  ['retired-keys', 'members that were off during a key rotation must then be paired again'],
  ['former-keys', 'only the record from before leaving a mesh cannot be checked any more'],
  ['tokens.minted', 'skein token list starts empty; tokens made before stay good until they expire'],
  ['tokens.revoked', 'revoked tokens are good again until they expire'],
]

export function damaged(path: string): SkeinError {
  const price = prices.find(([start]) => basename(path).startsWith(start))?.[1]
  return new SkeinError('store.corrupt', `${path} is damaged`, {
    fix:
      price === undefined
        ? 'restore it from a backup of the home, or start with a new home and pair this device again'
        : `mv '${path}' '${path}.damaged'; ${price}`,
  })
}
