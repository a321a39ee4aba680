/** The planner on 100,000 random histories of 2-5 peers; `npm run fuzz:plan` runs more of them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Planner } from '../../simulations/plan/peer.ts'
import { pastCases } from '../../simulations/plan/past-cases.ts'
import { partCases, planCases } from '../../simulations/plan/case.ts'
import { checkPlanCase } from '../../simulations/plan/checks.ts'
import { sameButAttributes } from '../../src/files/folder-tree.ts'
import { planPart } from '../../src/files/plan-part.ts'
import { planPlace } from '../../src/files/plan.ts'

const casesPerTest = 20_000
const timeoutMs = 120_000

/** Faults as a hurried hand might make them. */
const faults: readonly (readonly [string, Planner])[] = [
  [
    'forgets that an edit by others beats a delete here',
    (place) => {
      const action = planPlace(place)
      const { row, disk, own } = place
      const isEdited = row !== undefined && own !== undefined && own.version !== row.version
      return isEdited && disk.state === 'absent' && own.nodeId === row.nodeId ? { kind: 'nothing' } : action
    },
  ],
  [
    'replaces what was edited here',
    (place) =>
      place.disk.state === 'present' && place.own !== undefined && place.own.version !== place.row?.version
        ? { kind: 'replace', entry: place.own }
        : planPlace(place),
  ],
  [
    'never deletes',
    (place) => {
      const action = planPlace(place)
      return action.kind === 'delete' ? { kind: 'forget' } : action
    },
  ],
  [
    'takes a change of the exec bit for none',
    (place) => {
      const action = planPlace(place)
      return action.kind === 'replace' && place.row?.hash === action.entry.hash ? { kind: 'nothing' } : action
    },
  ],
  [
    'takes a change of extended attributes for none',
    (place) => {
      const action = planPlace(place)
      const { row } = place
      const isNone = action.kind === 'replace' && row !== undefined && sameButAttributes(row, action.entry)
      return isNone ? { kind: 'nothing' } : action
    },
  ],
]

/** The same where devices take a part only. */
const partFaults: readonly (readonly [string, Planner])[] = [
  [
    'takes what is not selected for deleted',
    (place, part) => {
      const { row, disk } = place
      const isTaken = row !== undefined && disk.state === 'absent' && !part.isSelected && !part.isReadOnly
      return isTaken ? { kind: 'delete', nodeId: row.nodeId } : planPart(place, part)
    },
  ],
  [
    'sends from a device that is read-only',
    (place, part) => {
      const action = planPart(place, part)
      return action.kind === 'keep' && part.isReadOnly
        ? planPart(place, { ...part, isReadOnly: false })
        : action
    },
  ],
  [
    'takes away what a person put where nothing is selected',
    (place, part) => {
      const action = planPart(place, part)
      const isAdded = action.kind === 'keep' && action.change === 'added' && !part.isSelected
      return isAdded ? { kind: 'nothing' } : action
    },
  ],
  [
    'keeps what is not selected',
    (place, part) => {
      const action = planPart(place, part)
      return action.kind === 'release' ? { kind: 'nothing' } : action
    },
  ],
  [
    'fetches what is not selected',
    (place, part) => planPart(place, { ...part, isSelected: true, isOwnSelected: true }),
  ],
]

describe('planner fuzz', () => {
  test('cases that failed once hold', async () => {
    for (const one of pastCases) await checkPlanCase(one, 0)
  })

  test.each([1, 2, 3, 4, 5])(
    `${casesPerTest} cases of seed %i hold`,
    async (seed) => {
      let number = 0
      const property = fc.asyncProperty(planCases, (one) => checkPlanCase(one, number++))
      await fc.assert(property, { numRuns: casesPerTest, seed })
    },
    timeoutMs,
  )

  test.each([1, 2])(
    `${casesPerTest} cases of seed %i hold where devices take a part only`,
    async (seed) => {
      let number = 0
      const property = fc.asyncProperty(partCases, (one) => checkPlanCase(one, number++))
      await fc.assert(property, { numRuns: casesPerTest, seed })
    },
    timeoutMs,
  )

  test.each(partFaults)(
    'a planner that %s is found out',
    async (_fault, plan) => {
      let number = 0
      const property = fc.asyncProperty(partCases, (one) => checkPlanCase(one, number++, plan))
      const result = await fc.check(property, { numRuns: 5_000, seed: 1 })
      expect(result.failed).toBe(true)
      expect(String(result.errorInstance)).toMatch(/^Error: (P\d+|I2): /)
    },
    timeoutMs,
  )

  test.each(faults)(
    'a planner that %s is found out',
    async (_fault, plan) => {
      let number = 0
      const property = fc.asyncProperty(planCases, (one) => checkPlanCase(one, number++, plan))
      const result = await fc.check(property, { numRuns: 2_000, seed: 1 })
      expect(result.failed).toBe(true)
      expect(String(result.errorInstance)).toMatch(/^Error: (P\d+|I2): /)
    },
    timeoutMs,
  )
})
