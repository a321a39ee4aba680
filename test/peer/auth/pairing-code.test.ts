import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasCode } from '../../../src/base/errors.ts'
import { createSeededRandom } from '../../../src/base/random.ts'
import {
  newShortCode,
  parseLongCode,
  parseShortCode,
  showLongCode,
  showShortCode,
} from '../../../src/peer/auth/pairing-code.ts'
import { keyFrom } from './roster-world.ts'

const peerId = keyFrom(1).peerId
const code = {
  peerId,
  secret: new Uint8Array(16).fill(7),
  expiresMs: 1_700_000_000_000,
  addresses: ['/ip4/127.0.0.1/tcp/4001', '/ip6/::1/tcp/4001'],
}

test('a long code is read back, in any case, with blanks, hyphens and look-alike letters', () => {
  const text = showLongCode(code)
  expect(text).toMatch(/^SKEIN:[0-9A-HJKMNP-TV-Z]+$/)
  expect(parseLongCode(text)).toEqual(code)
  expect(parseLongCode(` ${text.toLowerCase()}\n`)).toEqual(code)
  const typed = `skein:${text
    .slice(6)
    .replaceAll('0', 'o')
    .replaceAll('1', 'l')
    .replaceAll(/(.{5})/g, '$1-')}`
  expect(parseLongCode(typed)).toEqual(code)
})

test('a long code with any letter changed, cut short or of another kind is refused', () => {
  const text = showLongCode(code)
  const refused = (value: string): void => {
    try {
      parseLongCode(value)
    } catch (error) {
      if (hasCode(error, 'pair.failed', 'codec.version')) return
      throw error
    }
    throw new Error(`accepted ${value}`)
  }
  fc.assert(
    fc.property(
      fc.nat(text.length - 7),
      fc.constantFrom(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ!U'.split('')),
      (at, letter) => {
        const index = at + 6
        if (text[index] !== letter) refused(text.slice(0, index) + letter + text.slice(index + 1))
        refused(text.slice(0, index))
      },
    ),
    { numRuns: 500 },
  )
  fc.assert(fc.property(fc.string(), (value) => refused(`SKEIN:${value}`)))
  refused('')
  refused(`OTHER:${text.slice(6)}`)
  refused(`SKEIN:${'0'.repeat(100_000)}`)
})

test('addresses that are too many or too long are left out when shown', () => {
  const addresses = Array.from({ length: 20 }, (_, index) => `/ip4/10.0.0.${index}/tcp/1`)
  expect(parseLongCode(showLongCode({ ...code, addresses })).addresses).toEqual(addresses.slice(0, 8))
  expect(
    parseLongCode(showLongCode({ ...code, addresses: [`/dns4/${'x'.repeat(200)}/tcp/1`] })).addresses,
  ).toEqual([])
})

test('a short code is read back however it is typed', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const short = newShortCode(createSeededRandom(seed))
      const shown = showShortCode(short)
      expect(shown).toMatch(/^[0-9A-HJKMNP-TV-Z]{2}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{2}$/)
      expect(parseShortCode(shown)).toEqual(short)
      expect(
        parseShortCode(
          ` ${shown.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'i')} `,
        ),
      ).toEqual(short)
    }),
  )
  for (const typed of ['', 'K7-4MQX-9', 'K7-4MQX-9DD', 'K7-4MQX-9U', 'x'.repeat(1e6)]) {
    expect(() => parseShortCode(typed)).toThrow(expect.objectContaining({ code: 'pair.failed' }))
  }
})
