import { expect, test } from 'vitest'
import { createSystemEnv } from '../../src/base/env.ts'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createFirstIndex, isWorthListening, type OtherFirst } from '../../src/files/first-index.ts'

const other: OtherFirst = { state: 'done', goesFirst: true, hasFiles: true, isInStep: true }

test('worth listening to is who records, who goes first, and who is not in step yet', () => {
  expect(isWorthListening([])).toBe(false)
  expect(isWorthListening([other, { ...other, state: undefined }])).toBe(false)
  expect(isWorthListening([other, { ...other, isInStep: false }])).toBe(true)
  expect(isWorthListening([{ ...other, state: 'recording', goesFirst: false }])).toBe(true)
  expect(isWorthListening([{ ...other, state: 'listening' }])).toBe(true)
  expect(isWorthListening([{ ...other, state: 'listening', goesFirst: false }])).toBe(false)
})

test('who is listened to in vain is not waited for: what stands on the disk is recorded after all', async () => {
  const clock = createVirtualClock()
  const env = { ...createSystemEnv(), clock }
  let asked = 0
  let news: (ids: readonly string[], by: 'others') => void = () => undefined
  const tree = {
    onChanged(listener: typeof news) {
      news = listener
      return { [Symbol.dispose]: () => undefined }
    },
  }
  const looks: (readonly string[])[] = []
  const first = createFirstIndex(env, {
    tree,
    inbox: { add: (ids) => void (ids.length > 0 && looks.push(ids)), poke: () => undefined },
    ask: () => {
      asked++
      return Promise.resolve([{ ...other, state: 'recording' }])
    },
  })
  const ended = new AbortController()
  const run = first.run(ended.signal).catch(() => undefined)
  const alone = {
    parentId: 'd',
    row: undefined,
    here: undefined,
    stat: { ctimeNs: 1n },
  } as unknown as Parameters<typeof first.leaves>[0] // because: nothing else of a stat is looked at
  expect(first.leaves(alone)).toBe(true)
  expect(first.leaves({ ...alone, parentId: 'came', stat: { ctimeNs: 2n ** 62n } as never })).toBe(false)
  expect(first.leaves({ ...alone, parentId: 'came' })).toBe(true)
  first.looked(new Set(['d', 'came']))
  // Looked at once more, with nothing left: others told of it
  first.looked(new Set(['came']))
  const pass = async (seconds: number): Promise<void> => {
    for (let step = 0; step < seconds * 4; step++) {
      clock.advance(250)
      for (let turn = 0; turn < 5; turn++) await Promise.resolve()
    }
  }
  await pass(20)
  news([], 'others')
  await pass(20)
  expect([first.state, looks]).toEqual(['listening', []])
  await pass(15)
  expect([first.state, looks]).toEqual(['recording', [['d']]])
  expect(first.leaves(alone)).toBe(false)
  expect(first.isKnownToOthers).toBe(true)
  expect(asked).toBeGreaterThan(20)
  first.settled()
  expect(first.state).toBe('done')
  ended.abort()
  await pass(2)
  await run
})
