/**
 * The properties that concern the planner, each its own checker on the outcome of a case.
 * P11, I1: the same names with the same data on every peer, conflict copies included; per name and node no content twice.
 * P12: what is trashed, replaced or moved is exactly what the row says. P13, I2: what a person wrote and no person destroyed
 * is to be seen at the end. P19, I3: each version of a node is shown once. P25, I7: after the end nobody has anything to do.
 * P26: the end comes within 200 rounds. P29: modification times decide nothing. P31: at the end disk, rows and document
 * of each peer agree. "Never lose a byte": what stood on a disk is there or in its versions.
 * P14-P18, P20-P24, P27, P28 and P30 are no matter of the planner: see spaces.sim.ts and the tests of files.
 */
import type { BlobHash } from '../../src/blobs/hash.ts'
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
    .map(([name, item]) => {
      const { kind, hash, target, executable, attributes } = peer.found(item, peer.rows.get(name))
      return [name, kind, hash ?? target, executable, attributes ?? ''].join(' ')
    })
    .sort()
    .join('\n')

const somewhere = (peers: readonly PlanPeer[]): ReadonlySet<string | undefined> =>
  new Set(
    peers.flatMap((peer) => [...peer.versions, ...[...peer.disk.values()].map(({ data }) => data.hash)]),
  )

const isPart = ({ steps }: PlanCase): boolean =>
  steps.some(({ kind }) => kind === 'role' || kind === 'select' || kind === 'revert')

const isWhole = ({ isReadOnly, hidden }: PlanPeer): boolean => !isReadOnly && hidden.size === 0

function sameEverywhere({ peers }: PlanOutcome, one: PlanCase): void {
  const documents = peers.map(({ replica }) =>
    replica.entries().map(({ name, nodeId, hash, target }) => `${name} ${nodeId} ${hash ?? target}`),
  )
  for (const one of documents)
    if (one.join('\n') !== documents[0]?.join('\n')) fail('P11', 'documents differ')
  // What nobody can give is waited for, and what it is to replace or to be moved over stays as it was until then
  const everything = somewhere(peers)
  const isWaiting = peers[0]?.replica
    .entries()
    .some(({ hash }) => hash !== undefined && !everything.has(hash))
  if (isWaiting === true && isPart(one)) return
  const [first, ...others] = peers.filter(isWhole).map(pictureOf)
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
    if (action.kind === 'overrule' && place.disk.state !== 'present') fail('P12', 'nothing to overrule')
    if (action.kind === 'release' && (place.disk.state !== 'same' || place.row === undefined))
      fail('P12', 'release of what the index does not know')
    if (takes && (place.disk.state !== 'same' || place.row === undefined))
      fail('P12', `${action.kind} of what the index does not know`)
    if (action.kind === 'materialise' && place.disk.state === 'present') fail('P12', 'something stands there')
  }
}

function whatLivesIsSeen({ peers, living }: PlanOutcome, one: PlanCase): void {
  const everything = somewhere(peers)
  for (const hash of living)
    if (!everything.has(hash)) fail('P13', `nobody destroyed ${hash}, and nobody has it`)
  if (isPart(one)) return
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

function allAgree({ peers }: PlanOutcome, one: PlanCase): void {
  for (const peer of peers) {
    if (isPart(one)) {
      partAgrees(peer, peers)
      continue
    }
    const { disk, rows, replica } = peer
    const entries = replica.entries()
    if (entries.length !== rows.size || disk.size !== rows.size)
      fail('P31', `${disk.size} on the disk, ${rows.size} rows, ${entries.length} entries`)
    for (const entry of entries) {
      const row = rows.get(entry.name)
      const item = disk.get(entry.name)
      if (row === undefined || item === undefined) fail('P31', `${entry.name} is missing`)
      if (!sameData(row, entry) || !sameData(peer.found(item, row), entry))
        fail('P31', `disk, row and document disagree about ${entry.name}`)
    }
  }
}

const isLastHolder = (peer: PlanPeer, peers: readonly PlanPeer[], hash: BlobHash | undefined): boolean =>
  hash !== undefined && !peers.some((other) => other !== peer && other.holds(hash))

/** What it selected is as the document has it; all else that stands there is told as not sent, or nobody else has it. */
function partAgrees(peer: PlanPeer, peers: readonly PlanPeer[]): void {
  const { disk, rows, replica, unsent } = peer
  const entries = new Map(replica.entries().map((entry) => [entry.name, entry]))
  for (const [name, entry] of entries) {
    if (unsent.has(name)) continue
    const item = disk.get(rows.get(name)?.diskName ?? name)
    if (!peer.hides(name)) {
      // A person destroyed the last copy on a device that tells nobody: what lives is somewhere (P13)
      const isGone = entry.hash !== undefined && !somewhere(peers).has(entry.hash)
      if (isGone) continue
      if (item === undefined || !sameData(peer.found(item, rows.get(name)), entry))
        fail('P31', `${name} is not as it should be`)
    } else if (item !== undefined) {
      if (!isLastHolder(peer, peers, item.data.hash)) fail('P31', `${name} is not selected, and stands there`)
    }
  }
  for (const [name, { data }] of disk) {
    // Moved to where nothing is selected, and nobody else has it
    const isWaiting = rows.get(name)?.hash === data.hash && isLastHolder(peer, peers, data.hash)
    if (!entries.has(name) && !unsent.has(name) && !isWaiting)
      fail('P31', `${name} stands there, and nobody is told`)
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
