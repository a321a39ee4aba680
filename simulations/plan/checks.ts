/**
 * The properties that concern the planner, each its own checker on the outcome of a case.
 * P11, I1: the same names with the same data on every peer, conflict copies included; per name and node no content twice.
 * P12: what is trashed, replaced or moved is exactly what the row says. P13, I2: what a person wrote and no person destroyed
 * is to be seen at the end. P19, I3: each version of a node is shown once. P25, I7: after the end nobody has anything to do.
 * P26: the end comes within 200 rounds. P29: modification times decide nothing. P31: at the end disk, rows and document
 * of each peer agree. "Never lose a byte": what stood on a disk is there or in its versions.
 * P14-P18, P20-P24, P27, P28 and P30 are no matter of the planner: see spaces.sim.ts and the tests of files.
 */
import { sameData } from '../../src/files/folder-tree.ts'
import type { PlanCase, PlanOutcome } from './case.ts'
import { runPlanCase } from './case.ts'
import type { Planner, PlanPeer } from './peer.ts'

type PlanCheck = (outcome: PlanOutcome, one: PlanCase) => void | Promise<void>

function fail(property: string, what: string): never {
  throw new Error(`${property}: ${what}`)
}

const pictureOf = (peer: PlanPeer): string =>
  [...peer.disk]
    .map(([name, { data }]) => `${name} ${data.kind} ${data.hash ?? data.target} ${data.executable}`)
    .sort()
    .join('\n')

function sameEverywhere({ peers }: PlanOutcome): void {
  const [first, ...others] = peers.map(pictureOf)
  for (const other of others) if (other !== first) fail('P11', `peers differ:\n${first}\nand\n${other}`)
}

function noContentTwice({ peers }: PlanOutcome): void {
  for (const peer of peers) {
    const seen = new Set<string>()
    for (const entry of peer.replica.entries()) {
      const key = `${entry.nodeId} ${entry.hash ?? entry.target} ${entry.kind}`
      if (seen.has(key)) fail('P11', `one node shows equal contents twice: ${entry.name}`)
      seen.add(key)
    }
  }
}

function onlyWhatIsRecorded({ planned }: PlanOutcome): void {
  for (const { place, action } of planned) {
    const takes = action.kind === 'trash' || action.kind === 'replace' || action.kind === 'move'
    if (takes && (place.disk.state !== 'same' || place.row === undefined))
      fail('P12', `${action.kind} of what the index does not know`)
    if (action.kind === 'materialise' && place.disk.state === 'present') fail('P12', 'something stands there')
  }
}

function whatLivesIsSeen({ peers, living }: PlanOutcome): void {
  for (const peer of peers) {
    const shown = new Set(peer.replica.entries().map((entry) => entry.hash))
    for (const hash of living)
      if (!shown.has(hash)) fail('P13', `nobody destroyed ${hash}, and it is not to be seen`)
  }
}

function eachVersionOnce({ peers }: PlanOutcome): void {
  for (const peer of peers) {
    const seen = new Set<string>()
    for (const entry of peer.replica.entries()) {
      if (seen.has(entry.name)) fail('P19', `two entries are called ${entry.name}`)
      seen.add(entry.name)
    }
  }
}

async function nothingLeftToDo({ peers }: PlanOutcome): Promise<void> {
  for (const peer of peers) if (await peer.pass()) fail('P25', 'somebody still has something to do')
}

function soonOver({ rounds, peers }: PlanOutcome): void {
  if (rounds === undefined) fail('P26', `no end: ${peers.map(pictureOf).join(' | ')}`)
}

async function timesDecideNothing({ peers }: PlanOutcome, one: PlanCase): Promise<void> {
  let other = 10_000_000_000_000n
  const again = await runPlanCase(one, () => (other -= 7n))
  const [before, after] = [peers.map(pictureOf).join('\n\n'), again.peers.map(pictureOf).join('\n\n')]
  if (before !== after) fail('P29', `with other times:\n${before}\nand\n${after}`)
}

function allAgree({ peers }: PlanOutcome): void {
  for (const { disk, rows, replica } of peers) {
    const entries = replica.entries()
    if (entries.length !== rows.size || disk.size !== rows.size)
      fail('P31', `${disk.size} on the disk, ${rows.size} rows, ${entries.length} entries`)
    for (const entry of entries) {
      const row = rows.get(entry.name)
      const item = disk.get(entry.name)
      if (row === undefined || item === undefined || !sameData(row, entry) || !sameData(item.data, entry))
        fail('P31', `disk, row and document disagree about ${entry.name}`)
    }
  }
}

function nothingLost({ stood }: PlanOutcome): void {
  for (const [peer, hashes] of stood) {
    const kept = new Set([...peer.versions, ...[...peer.disk.values()].map(({ data }) => data.hash)])
    for (const hash of hashes) if (!kept.has(hash)) fail('I2', `${hash} stood on a disk and is gone`)
  }
}

const planChecks: Readonly<Record<string, PlanCheck>> = {
  'P26 the end comes within 200 rounds': soonOver,
  'P12 only what is recorded is taken from the disk': onlyWhatIsRecorded,
  'I2 what stood on a disk is there or in its versions': nothingLost,
  'P11 the same names and bytes on every peer': sameEverywhere,
  'P11 no node shows equal contents twice': noContentTwice,
  'P13 what nobody destroyed is to be seen': whatLivesIsSeen,
  'P19 names are unique': eachVersionOnce,
  'P31 disk, rows and document agree at the end': allAgree,
  'P25 nothing is left to do': nothingLeftToDo,
  'P29 modification times decide nothing': timesDecideNothing,
}

/** The checker that is dear, on one case in so many. */
const dearEvery = 20

/** Runs one case and all checkers. @throws what the first that fails says. */
export async function checkPlanCase(one: PlanCase, number: number, plan?: Planner): Promise<void> {
  let timeNs = 1n
  const outcome = await runPlanCase(one, () => (timeNs += 1_000n), plan)
  for (const check of Object.values(planChecks)) {
    if (check === timesDecideNothing && number % dearEvery !== 0) continue
    await check(outcome, one)
  }
}
