/** What the command line says about storage devices: sizes as people write them, and one line for each sealed copy. */
import { expect, test } from 'vitest'
import type { DeviceId } from '../../src/base/ids.ts'
import { formatHold, parseSize } from '../../src/cli/commands/hold.ts'
import { formatCopy } from '../../src/cli/space-lines.ts'
import { hostileName } from '../support/hostile-name.ts'
import { findHarmful } from '../support/harmful-text.ts'

const copy = {
  // because: any id of the right form
  deviceId: '7zzzzzzzzzzzzzzzzzzzzzzzzz' as DeviceId,
  device: 'vps',
  state: 'complete',
  fileCount: 10_234,
  heldCount: 10_234,
  sizeBytes: 5e9,
  damageCount: 0,
} as const

test('sizes are read as people write them, and nothing else is', () => {
  expect(['500M', '50G', '2T', '1.5g', '7', '3 GB'].map(parseSize)).toEqual([5e8, 5e10, 2e12, 1.5e9, 7, 3e9])
  for (const wrong of ['', 'G', '-1G', '1e9', '50 X', '50GiB', '99999999999G'])
    expect(() => parseSize(wrong)).toThrow(/is no size/)
})

test('each sealed copy has one line that says how far it is', () => {
  expect(formatCopy('laptop', copy)).toBe('laptop: all 10,234 files sealed at vps')
  expect(formatCopy('n', { ...copy, state: 'incomplete', heldCount: 12 })).toBe(
    'n: 12 of 10,234 files sealed at vps; the others are on no device in reach',
  )
  expect(formatCopy('n', { ...copy, state: 'sealing', doneBytes: 1e6, totalBytes: 2e9 })).toBe(
    'n: sealing to vps, 1.0 MB of 2.0 GB',
  )
  expect(formatCopy('n', { ...copy, state: 'problem', problem: 'full', fix: 'skein hold' })).toBe(
    '! n: not sealed at vps: full (skein hold)',
  )
  expect(formatCopy('n', { ...copy, damageCount: 2 })).toContain('gave back 2 damaged things')
  const hostile = formatCopy(hostileName, { ...copy, device: hostileName, state: 'away' })
  expect(findHarmful(hostile, true)).toEqual([])
})

test('a storage device says what it holds, by names that say nothing', () => {
  const vault = '14xxbv6wtyjca6mkz7evrbtxz0'
  const vaults = [{ vault, blockCount: 136, sizeBytes: 142_959_544 }]
  expect(formatHold({ isHolding: false, usedBytes: 0, vaults: [] })).toContain('skein hold --quota 50G')
  const text = formatHold({ isHolding: true, quotaBytes: 5e10, usedBytes: 142_959_544, vaults })
  expect(text).toContain('Holds 143 MB of 50.0 GB for others, sealed')
  expect(text).toContain(vault)
  expect(formatHold({ isHolding: false, usedBytes: 142_959_544, vaults })).toContain('Takes nothing more')
})
