/**
 * Which revocations stand. A settled revocation voids what its subject said concurrently, and with it whatever
 * only that had made possible: devices it admitted, rights it gave, and their acts. So revocations can attack
 * each other, directly or through an accomplice. Settling them, most certain first:
 *
 *   1. one that would void a settled one gives way;
 *   2. those that attack nothing and are not attacked are settled together;
 *   3. else the most senior of those that nothing open attacks is settled;
 *   4. else there is a circle (two devices that remove each other): of those nothing outside the circle attacks,
 *      the one that most uninvolved devices had seen before its rivals is settled, then the most senior.
 * Witnesses come before seniority because a removed device keeps its key and may remove its remover at any later
 * time, with parents as old as it likes; without them a stolen founder could always undo its removal. What it can
 * not make is a statement of another device that stands on its act and not on the removal (see `witness`).
 * Senior: recovery first, then the author admitted earlier (graph order: clock, then hash), then the earlier statement.
 * An attack may also be a joint one: of all the more senior revocations together on what none of them voids alone.
 * After each step everything is judged anew. The outcome is a function of the set of statements alone, which is why replicas agree.
 * Known limit, chosen: without any witness (two devices, no third) the senior one stays, also when it is the stolen
 * one; the recovery key settles that.
 */
import type { DeviceId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { RosterGraph } from './roster-graph.ts'
import type { Judgement } from './roster-rules.ts'
import { judge, revokedBy, voids } from './roster-rules.ts'

/** Judges all statements, with contradictions between revocations settled. */
export function settle(graph: RosterGraph): Judgement {
  const revocations = graph.order.flatMap((statement, index) =>
    revokedBy(statement).length > 0 ? [index] : [],
  )
  const settled: number[] = []
  const lost = new Map<number, string>()
  for (;;) {
    const judgement = judge(graph, settled, lost)
    // What no longer holds under later decisions gives up what it had voided
    const broken = settled.filter((index) => judgement.effective[index] === 0)
    if (broken.length > 0) {
      for (const index of broken) {
        lost.set(index, judgement.reasons.get(index) ?? 'lost its ground')
        settled.splice(settled.indexOf(index), 1)
      }
      continue
    }
    const open = revocations.filter((index) => judgement.effective[index] === 1 && !settled.includes(index))
    if (open.length === 0) return judgement
    const weigh = seniority(graph, judgement)
    const contest = open.sort(weigh).slice(0, limits.rosterContests)
    const victims = new Map(
      contest.map((index) => [index, victimsOf(graph, index, { judgement, settled, lost })]),
    )
    const giveWay = contest.filter((index) => settled.some((other) => victims.get(index)?.has(other)))
    if (giveWay.length > 0) {
      for (const index of giveWay) lost.set(index, 'contradicts a removal that stands')
      continue
    }
    const standing = { judgement, settled, lost }
    const next = nextToSettle(contest, victims, jointAttacks(graph, contest, { victims, standing, weigh }), {
      graph,
      judgement,
    })
    settled.push(...next)
    // Nothing was voided and nothing waits: the judgement at hand is the last one
    if (next.length === open.length && next.every((index) => victims.get(index)?.size === 0)) return judgement
  }
}

type Victims = ReadonlyMap<number, ReadonlySet<number>>

/** @param contest most senior first. @param joint further attacks: from each of a group on what all of them void. */
function nextToSettle(
  contest: readonly number[],
  victims: Victims,
  joint: Victims,
  place: Place,
): readonly number[] {
  const { graph, judgement } = place
  const attacks = new Map(
    contest.map((index) => [index, new Set([...(victims.get(index) ?? []), ...(joint.get(index) ?? [])])]),
  )
  const isAttacked = (index: number): boolean => contest.some((other) => attacks.get(other)?.has(index))
  const free = contest.filter((index) => !isAttacked(index))
  const harmless = free.filter((index) => victims.get(index)?.size === 0)
  if (harmless.length > 0) return harmless
  if (free.length > 0) return free.slice(0, 1)
  const circle = sourceComponents(contest, attacks)
  const support = new Map(
    circle.map((index) => [index, witnesses(index, { graph, judgement, attacks, circle })]),
  )
  return circle
    .sort((a, b) => (support.get(b) ?? 0) - (support.get(a) ?? 0) || contest.indexOf(a) - contest.indexOf(b))
    .slice(0, 1)
}

interface Place {
  readonly graph: RosterGraph
  readonly judgement: Judgement
}

interface Circle extends Place {
  readonly attacks: Victims
  readonly circle: readonly number[]
}

/**
 * Devices outside the circle, members before all of it, with a statement that stands on this revocation and on
 * none of those that attack it.
 */
function witnesses(index: number, { graph, judgement, attacks, circle }: Circle): number {
  const { order } = graph
  const rivals = circle.filter((other) => other !== index && attacks.get(other)?.has(index))
  const involved = new Set(circle.flatMap((one) => [order[one]?.author, ...revokedBy(order[one])]))
  const seen = new Set<DeviceId>()
  for (const [at, statement] of order.entries()) {
    if (judgement.effective[at] === 0 || !graph.isAncestor(index, at) || involved.has(statement.author))
      continue
    if (rivals.some((rival) => graph.isAncestor(rival, at))) continue
    const before = (older: number): boolean => circle.every((one) => graph.isAncestor(older, one))
    if (judgement.ledger.isMember(statement.author, before)) seen.add(statement.author)
  }
  return seen.size
}

interface Contest {
  readonly victims: Victims
  readonly standing: Standing
  readonly weigh: (a: number, b: number) => number
}

/**
 * An accomplice let in by several bad devices survives the removal of each one alone. So a revocation that would
 * hit another is also held against all the more senior ones taken together.
 */
function jointAttacks(
  graph: RosterGraph,
  contest: readonly number[],
  { victims, standing, weigh }: Contest,
): Victims {
  const joint = new Map<number, Set<number>>()
  const { settled, lost } = standing
  const judged = new Map<number, Judgement>()
  for (const index of contest) {
    if (victims.get(index)?.size === 0) continue
    const author = graph.order[index]?.author
    const seniors = contest.filter(
      (other) => weigh(other, index) < 0 && graph.order[other]?.author !== author,
    )
    if (seniors.length < 2) continue
    const together = judged.get(seniors.length) ?? judge(graph, [...settled, ...seniors], lost)
    judged.set(seniors.length, together)
    if (together.effective[index] === 1) continue
    for (const senior of seniors) joint.set(senior, new Set([...(joint.get(senior) ?? []), index]))
  }
  return joint
}

/** Those whose every attacker, also at several removes, they attack back: members of source components, in order. */
function sourceComponents(contest: readonly number[], victims: Victims): number[] {
  const reach = new Map<number, Set<number>>()
  for (const start of contest) {
    const reached = new Set<number>()
    const pending = [start]
    for (let from = pending.pop(); from !== undefined; from = pending.pop()) {
      for (const to of contest) {
        if (victims.get(from)?.has(to) && !reached.has(to)) {
          reached.add(to)
          pending.push(to)
        }
      }
    }
    reach.set(start, reached)
  }
  return contest.filter((index) =>
    contest.every((other) => !reach.get(other)?.has(index) || reach.get(index)?.has(other)),
  )
}

interface Standing {
  readonly judgement: Judgement
  readonly settled: readonly number[]
  readonly lost: ReadonlyMap<number, string>
}

/** What would lose its effect if this revocation were settled now, at any remove. */
function victimsOf(graph: RosterGraph, revocation: number, standing: Standing): ReadonlySet<number> {
  const { effective } = standing.judgement
  const isDirect = graph.order.some((_, index) => effective[index] === 1 && voids(graph, revocation, index))
  if (!isDirect) return new Set()
  const after = judge(graph, [...standing.settled, revocation], standing.lost)
  const victims = new Set<number>()
  for (const [index, before] of effective.entries()) {
    if (before === 1 && after.effective[index] === 0) victims.add(index)
  }
  return victims
}

function seniority(graph: RosterGraph, judgement: Judgement): (a: number, b: number) => number {
  const rank = (index: number): number => {
    const statement = graph.order[index]
    if (statement === undefined || statement.kind === 'recover') return -1
    return judgement.ledger.admissionOf(statement.author, () => true) ?? graph.order.length
  }
  return (a, b) => rank(a) - rank(b) || a - b
}
