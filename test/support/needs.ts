/**
 * Declares which system parts a suite needs. Where one is missing, the suite says so by name: as a failed test in
 * CI, where nothing may be missing, and as a skipped test elsewhere.
 */
import { describe, test } from 'vitest'
import { describeMissing, findMissingParts, type SystemPart } from '../../scripts/system-parts.ts'

/** Like `describe`, for tests that only run with all of `parts`. */
export function describeWith(parts: readonly SystemPart[], name: string, define: () => void): void {
  const missing = findMissingParts(parts)
  if (missing.length === 0) {
    describe(name, define)
    return
  }
  const reason = `needs ${missing.join(', ')}, missing here: ${describeMissing(missing).replaceAll('\n', '; ')}`
  if (process.env['CI'] === 'true') {
    test(`${name} ${reason}`, () => {
      throw new Error(reason)
    })
  } else {
    // The reporter only counts skipped tests; say which and why.
    process.stderr.write(`skipped: ${name} ${reason}\n`)
    describe.skip(`${name} ${reason}`, define)
  }
}
