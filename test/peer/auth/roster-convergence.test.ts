import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSeededRandom, randomBelow } from '../../../src/base/random.ts'
import { createRosterGraph } from '../../../src/peer/auth/roster-graph.ts'
import type { RosterState } from '../../../src/peer/auth/roster-state.ts'
import { evaluate, membersOf } from '../../../src/peer/auth/roster-state.ts'
import type { Statement } from '../../../src/peer/auth/statement.ts'
import type { Actor } from './roster-world.ts'
import { actor, createWorld, keyFrom, speak } from './roster-world.ts'

/**
 * A history in which every device, honest or not, says anything on top of any part of the graph it likes:
 * old parents, removals of removers, accomplices, rotations, promotions.
 */
function randomHistory(
  seed: number,
  steps: number,
): { readonly statements: readonly Statement[]; readonly actors: readonly Actor[] } {
  const random = createSeededRandom(seed)
  const pick = <T>(items: readonly T[]): T => items[randomBelow(random, items.length)] as T // because: never empty here
  const actors = Array.from({ length: 2 + randomBelow(random, 4) }, (_, index) => actor(100 + index))
  const founder = actors[0] as Actor // because: there are at least two
  const world = createWorld(founder)
  const statements: Statement[] = [world.found]
  for (let step = 0; step < steps; step++) {
    const graph = createRosterGraph(world.found.mesh, statements)
    const isHonest = random.float() < 0.6
    const parents = isHonest ? graph.heads.slice(0, 8) : [pick(statements)]
    const author = pick(actors)
    const other = pick(actors)
    const acts = [
      () => world.add(author, other, parents, pick(['full', 'full', 'limited', 'guest'])),
      () => world.add(author, other, parents),
      () => world.remove(author, other, parents),
      () => world.grant(author, other, parents, pick(['full', 'limited'])),
      () => {
        const next = keyFrom(1000 + step)
        const statement = world.rotate(author, next, parents)
        if (isHonest) author.key = next
        return statement
      },
    ]
    statements.push(pick(acts)())
  }
  return { statements, actors }
}

const shuffled = <T>(items: readonly T[], seed: number): readonly T[] => {
  const random = createSeededRandom(seed)
  return items
    .map((item) => ({ item, at: random.float() }))
    .sort((x, y) => x.at - y.at)
    .map(({ item }) => item)
}

const plain = (state: RosterState): unknown => ({ ...state, devices: [...state.devices] })

test('any order of delivery, with repetitions, gives one state', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 24 }), (seed, order, steps) => {
      const { statements } = randomHistory(seed, steps)
      const mesh = (statements[0] as Statement).mesh // because: the founding one is there
      const one = evaluate(mesh, statements)
      const two = evaluate(mesh, shuffled([...statements, ...statements.slice(0, 5)], order))
      expect(plain(two)).toEqual(plain(one))
    }),
    { numRuns: 400 },
  )
})

test('nobody removed has an effective concurrent act, and every member hangs on the founder by effective acts', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 24 }), (seed, steps) => {
      const { statements } = randomHistory(seed, steps)
      const mesh = (statements[0] as Statement).mesh // because: the founding one is there
      const graph = createRosterGraph(mesh, statements)
      const state = evaluate(mesh, statements)
      const rejected = new Set(state.rejected.map((entry) => entry.hash))
      const effective = graph.order.filter((statement) => !rejected.has(statement.hash))
      const at = (statement: Statement): number => graph.indexOf(statement.hash) ?? -1
      for (const removal of effective) {
        if (removal.kind !== 'remove') continue
        const gone = removal.body.device
        for (const act of effective) {
          if (act.author !== gone || act === removal) continue
          // All that stands of a removed device is what its remover knew of
          expect(graph.isAncestor(at(act), at(removal))).toBe(true)
        }
      }
      for (const device of membersOf(state)) {
        const admitted = effective.some((statement) => statement.author === device.addedBy)
        expect(admitted).toBe(true)
        expect(state.devices.has(device.addedBy)).toBe(true)
      }
    }),
    { numRuns: 400 },
  )
})

test('once a removal stands, no further statement of the removed device changes anything', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 16 }), fc.nat(), (seed, steps, more) => {
      const { statements, actors } = randomHistory(seed, steps)
      const founding = statements[0] as Statement // because: the founding one is there
      const before = evaluate(founding.mesh, statements)
      const gone = actors.filter((one) => before.devices.get(one.id)?.removed !== undefined)
      const random = createSeededRandom(more)
      const extra: Statement[] = []
      for (const one of gone) {
        // Only acts that a remover outranks: a removal of a junior by a removed senior may settle otherwise
        const accomplice = actor(900 + randomBelow(random, 5))
        const parent = statements[randomBelow(random, statements.length)] as Statement // because: in range
        extra.push(speak.add(one, accomplice, [parent]), speak.grant(one, one, [parent], 'full'))
      }
      const after = evaluate(founding.mesh, [...statements, ...extra])
      expect([...after.devices]).toEqual([...before.devices])
    }),
    { numRuns: 400 },
  )
})
