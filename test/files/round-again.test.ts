/** A folder does not go round for ever, and no news waits for that. */
import { expect, test } from 'vitest'
import { createVirtualClock } from '../../src/base/virtual-clock.ts'
import { createDirectories } from '../../src/files/directories.ts'
import { createInbox } from '../../src/files/folder-inbox.ts'
import { createProblems } from '../../src/files/problems.ts'
import { createRoundAgain } from '../../src/files/round-again.ts'

const rootId = 'root'
const hourMs = 3_600_000

function createPlace() {
  const clock = createVirtualClock()
  const problems = createProblems()
  const inbox = createInbox(createDirectories(rootId))
  const later = { once: (delayMs: number, act: () => void) => void clock.setTimer(delayMs, act) }
  const again = createRoundAgain(clock, { inbox, later, problems }, { deleteGraceMs: 300 })
  /** Rounds of one hour, each of which asks for another one by its own findings. */
  const rounds = (planOf: (round: number) => string, as: 'again' | 'later'): number => {
    const found = { again: [], news: [], made: [], later: [], [as]: [rootId] }
    inbox.add([rootId])
    let count = 0
    while (clock.monotonicMs() < hourMs && count < 20_000) {
      if (inbox.hasWork) {
        inbox.take()
        again.take({ ...found, plan: { text: planOf(count++), path: 'a/b' } })
        clock.advance(1)
        continue
      }
      if (clock.nextDueMs() === undefined) break
      clock.step()
    }
    return count
  }
  return { clock, problems, inbox, again, rounds }
}

test.each(['again', 'later'] as const)('the same plan time and again is made ever less often (%s)', (as) => {
  const { problems, rounds } = createPlace()
  const count = rounds(() => 'move a to b', as)
  // 60 of them are the longest wait
  expect(count).toBeGreaterThan(60)
  expect(count).toBeLessThan(90)
  expect(problems.list()).toMatchObject([{ path: 'a/b' }])
})

test('a ring of plans is seen as well', () => {
  const { rounds } = createPlace()
  expect(rounds((round) => `park ${round % 3}`, 'again')).toBeLessThan(260)
})

test('rounds that do something else each time go on at once, and no person hears of it', () => {
  const { problems, rounds } = createPlace()
  expect(rounds((round) => `place ${round}`, 'again')).toBe(20_000)
  expect(problems.list()).toEqual([])
})

test('looks that find nothing to do are made once a second, and no person hears of it', () => {
  const { problems, rounds } = createPlace()
  const count = rounds(() => '', 'again')
  expect(count).toBeGreaterThan(3_500)
  expect(count).toBeLessThan(3_650)
  expect(problems.list()).toEqual([])
})

test('news comes at once, and does not make what waits wait longer', () => {
  const { again, clock, inbox } = createPlace()
  const found = { again: [rootId], news: [], made: [], later: [] }
  const take = (text: string): void => again.take({ ...found, plan: { text, path: 'a/b' } })
  for (let round = 0; round < 30; round++) {
    inbox.add(['news'])
    take('move a to b')
    expect([...inbox.take().dirty]).toContain('news')
    clock.advance(1)
  }
  expect(again.waiting).toBe(1)
  // What something else leads to does not wait for it
  take('trash c')
  expect([...inbox.take().dirty]).toEqual([rootId])
  clock.advance(60_000)
  expect([...inbox.take().dirty]).toEqual([rootId])
  expect(again.waiting).toBe(0)
})

test('nothing is left behind when the folder is closed', () => {
  const { again, clock } = createPlace()
  const found = { again: [rootId], news: [], made: [], later: [] }
  for (let round = 0; round < 10; round++) again.take({ ...found, plan: { text: 'x', path: 'a' } })
  expect(again.waiting).toBe(1)
  again[Symbol.dispose]()
  expect(clock.nextDueMs()).toBeUndefined()
})
