/**
 * One round over the dirty parts of a folder: collect, decide, commit what the disk has to say, then do on the disk what
 * the document has to say. Rounds never overlap, so a round never meets its own half-done work.
 */
import { assert } from '../base/assert.ts'
import { sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { errorFields } from '../base/log.ts'
import type { BaseFeeder } from './base-feeder.ts'
import { blockedBy } from './bring-files.ts'
import { type CarriedOut, carryOut, type CarryOutPlace } from './carry-out.ts'
import { createChangeStamps } from './change-stamps.ts'
import { collect, type Collected } from './collect.ts'
import { decide, type DecidePlace, type Decisions, isHeld } from './decide.ts'
import type { Deletion } from './deletion.ts'
import type { Totals } from './directories.ts'
import { applyToDirectories, createNewlyGone } from './directory-rows.ts'
import type { DiskTask } from './disk-task.ts'
import { type FileStat, sameSignature } from './filesystem.ts'
import type { FirstIndex } from './first-index.ts'
import { type RowChange, rowKey, type TreeChange } from './folder-tree.ts'
import type { Glance } from './glance.ts'
import { createGoneHere } from './gone-here.ts'
import { look, readAhead } from './look.ts'
import { nextPart } from './offer.ts'
import { planPlace } from './plan.ts'
import { repairTask, repairTasks } from './repair.ts'
import { createRoundPlan, type RoundPlan } from './round-plan.ts'
import { withoutRekeyed } from './rekeyed-directories.ts'
import { baseOfEdit, countRows, keyOfRow, withoutOverruled } from './row-changes.ts'
import { askBrake, type BrakeOptions, type BrakeState } from './safety.ts'
import { findOwn, pathOfSeen, scanPlace, type Seen, unlessDenied } from './scan.ts'
import type { Settling } from './settling.ts'
import type { Step } from './step.ts'
import type { ReadyPlace } from './transfers.ts'
import { createVanished } from './vanished.ts'
import { withRowsBelow } from './way-into.ts'

export interface PassPlace
  extends DecidePlace, Omit<CarryOutPlace, 'record' | 'flush' | 'settled' | 'noteFrom' | 'holdsDeletions'> {
  readonly totals: Totals
  readonly bases: Pick<BaseFeeder, 'committed'>
  readonly settling: Settling
  readonly first: FirstIndex
  readonly glance: Pick<Glance, 'load'>
}

export interface PassOptions {
  readonly brake: BrakeOptions
  /** A place gone for less may still turn up elsewhere as a rename. */
  readonly deleteGraceMs: number
  /** See CarryOutPlace. */
  readonly noteFrom: number
}

export interface PassWork {
  readonly dirty: ReadonlySet<string>
  readonly all: boolean
  readonly ready: readonly ReadyPlace[]
}

export interface PassResult {
  readonly again: readonly string[]
  /** What was done here leads on to these directories; what was made is one that need not wait for more news. */
  readonly news: readonly string[]
  readonly made: readonly string[]
  /** Directories to look at once the grace for vanished places is over. */
  readonly later: readonly string[]
  readonly plan: Pick<RoundPlan, 'text' | 'path'>
  /** True when it changed anything on any side. */
  readonly didWork: boolean
}

export interface Passes {
  run(work: PassWork, signal: AbortSignal): Promise<PassResult>
  /** The document shows other things in these directories. */
  changed(parentIds: readonly string[]): void
  /** Deletions that the brake holds; they wait for the person. */
  readonly heldDeletions: number
  /** The person says: yes, delete them all. Holds for the next round. */
  allowDeletions(): void
  /** The person says: bring them back. */
  undoDeletions(): Promise<void>
  /** Rows of the index were lost: what is known of it is read again before the next round. */
  lost(): void
}

const commitChanges = 512
const sliceMs = 8
const parentsOf = (places: readonly Seen[]): readonly string[] => places.map(({ parentId }) => parentId)

export function createPasses(env: Env, place: Omit<PassPlace, 'goneHere'>, options: PassOptions): Passes {
  return new FolderPasses(env, { ...place, goneHere: createGoneHere() }, options)
}

class FolderPasses implements Passes {
  private readonly env: Env
  private readonly place: PassPlace
  private readonly outward: CarryOutPlace
  private readonly options: PassOptions
  private readonly vanished
  private readonly newlyGone
  private brake: BrakeState = { recent: [] }
  private braked: readonly Deletion[] = []
  private isAllowed = false
  private isIndexLost = false
  private sliceStartMs: number
  private recorded: RowChange[] = []
  private readonly changes = createChangeStamps()
  private roundStamp = 0
  private readonly plannedAt = new WeakMap<DiskTask, number>()

  constructor(env: Env, place: PassPlace, options: PassOptions) {
    this.env = env
    this.place = place
    this.options = options
    this.newlyGone = createNewlyGone(place.directories)
    this.vanished = createVanished(env.clock, options.deleteGraceMs)
    this.sliceStartMs = env.clock.monotonicMs()
    const settled = (): Promise<void> => this.flush().then(() => place.settling.drain())
    const record = (rows: readonly RowChange[]): void => this.record(rows)
    const holdsDeletions = (): boolean => this.braked.length > 0
    this.outward = { ...place, ...options, record, flush: () => this.flush(), settled, holdsDeletions }
    place.settling.begin((rows) => this.store([], rows))
  }

  get heldDeletions(): number {
    return this.braked.length
  }

  changed(parentIds: readonly string[]): void {
    this.changes.note(parentIds)
  }

  allowDeletions(): void {
    this.isAllowed = true
  }

  async undoDeletions(): Promise<void> {
    const rows = this.braked.map((deletion) => deletion.row)
    for (const { change } of this.braked) this.place.goneHere.drop(change.nodeId)
    this.braked = []
    await this.commit([], rows)
    for (const row of rows) applyToDirectories(this.place, row)
  }

  async run(work: PassWork, signal: AbortSignal): Promise<PassResult> {
    try {
      if (this.isIndexLost) await this.reload()
      return await this.round(work, signal)
    } catch (error) {
      await this.salvage()
      throw error
    }
  }

  private async round(work: PassWork, signal: AbortSignal): Promise<PassResult> {
    const { place } = this
    this.roundStamp = this.changes.count
    const found = await collect(place, {
      dirty: work.dirty,
      all: work.all,
      isGoneForGood: (seen) => this.vanished.isGoneForGood(seen),
      first: place.first,
      breathe: () => this.breathe(),
    })
    const collected = await withoutRekeyed(place, found)
    const plan = createRoundPlan()
    const decisions = await this.decideAll(collected, plan, signal)
    const looked = work.all ? undefined : collected.scanned
    const deleted = await this.commitGone(decisions.deletions, looked)
    if (decisions.deletions.length > 0 || collected.held.length === 0) this.isAllowed = false
    const tasks = [...decisions.tasks, ...(await repairTasks(place))]
    plan.tasks(tasks)
    for (const task of tasks) this.plannedAt.set(task, this.roundStamp)
    const wanted = tasks.map(({ seen }) => rowKey(seen.parentId, seen.name))
    place.transfers.retain(collected.scanned, new Set(wanted))
    const carried = await carryOut(this.outward, tasks, signal)
    const filled = await this.fillReady(work.ready, signal)
    this.vanished.looked(collected, this.braked)
    return {
      // What is not selected in a deleted directory may keep that in the document
      again: place.part.isWhole ? decisions.again : [...decisions.again, ...parentsOf(deleted)],
      news: [...collected.unread, ...carried.again, ...filled.again],
      made: carried.made,
      later: [...carried.later, ...filled.later, ...parentsOf(collected.held), ...this.newlyGone(collected)],
      plan,
      didWork: plan.count + work.ready.length + deleted.length > 0,
    }
  }

  /** Part by part, each committed at once: others fetch the first files of a large tree while the last are hashed. */
  private async decideAll(
    collected: Collected,
    plan: RoundPlan,
    signal: AbortSignal,
  ): Promise<Omit<Decisions, 'steps'>> {
    const [deletions, tasks, again]: [Deletion[], DiskTask[], string[]] = [[], [], []]
    let index = 0
    // What was read for a round that broke off is no longer what stands there
    this.place.hasher.forget()
    readAhead(this.place, nextPart(collected.places, 0), signal)
    do {
      const places = nextPart(collected.places, index)
      const isFirst = index === 0
      index += places.length
      // While this part is decided and committed the next one is read
      readAhead(this.place, nextPart(collected.places, index), signal)
      const part = { ...collected, places, ...(!isFirst && { moves: [], again: [] }) }
      const decided = await decide(this.place, part, signal)
      // Contents ahead of the records that name them
      await this.place.push?.room(signal)
      plan.tell(decided.steps)
      await this.commitSteps(decided.steps)
      for (const deletion of decided.deletions) deletions.push(deletion)
      for (const task of decided.tasks) tasks.push(task)
      for (const id of decided.again) again.push(id)
    } while (index < collected.places.length)
    this.place.hasher.forget()
    return { deletions, tasks, again }
  }

  /** Contents that arrived: their places are looked at once more, then filled. */
  private async fillReady(ready: readonly ReadyPlace[], signal: AbortSignal): Promise<CarriedOut> {
    const { place } = this
    const tasks: DiskTask[] = []
    const again: string[] = []
    for (const waiting of ready) {
      await this.breathe()
      // Filled by this very round already, or something else came there
      if (this.changes.of(rowKey(waiting.parentId, waiting.name)) > this.roundStamp) {
        if (!(await this.isFilled(waiting))) again.push(waiting.parentId)
        continue
      }
      const planned = (await this.stillPlanned(waiting)) ?? (await repairTask(place, waiting))
      if (planned !== undefined) {
        tasks.push(planned)
        continue
      }
      const seen = await scanPlace(place, waiting)
      const isWaiting = seen === undefined || isHeld(place, seen)
      const looked = isWaiting ? undefined : await look(place, seen, signal)
      if (seen === undefined || looked === undefined) continue
      const own = seen.row === undefined ? undefined : await findOwn(place.tree, seen.row, seen)
      const action = planPlace({ row: seen.row, disk: looked.disk, own, here: seen.here })
      if (action.kind !== 'materialise' && action.kind !== 'replace') {
        // Where the disk takes two names for one, what was found here may be another name's file
        if (place.filesystem.foldsNames && seen.row === undefined) blockedBy(place, seen)
        else if (action.kind !== 'nothing') again.push(waiting.parentId)
        continue
      }
      tasks.push({ seen: { ...seen, stat: looked.stat }, action })
    }
    const carried = await carryOut(this.outward, tasks, signal)
    for (const { hash } of ready) await place.transfers.discard(hash)
    return { ...carried, again: [...carried.again, ...again] }
  }

  private async isFilled({ parentId, name, hash }: ReadyPlace): Promise<boolean> {
    return (await this.place.tree.row(parentId, name))?.hash === hash
  }

  /**
   * The task as it was planned, when nothing it was planned from has changed: not the document's directory, not the row,
   * not the disk. Saves reading them all once more for each of thousands of files.
   */
  private async stillPlanned({ parentId, name, task }: ReadyPlace): Promise<DiskTask | undefined> {
    const { directories, filesystem } = this.place
    const { seen } = task
    const stamp = this.plannedAt.get(task)
    if (stamp === undefined || directories.pathOf(parentId) !== seen.parentPath) return undefined
    if (this.changes.of(parentId) > stamp || this.changes.of(rowKey(parentId, name)) > stamp) return undefined
    if (isHeld(this.place, seen)) return undefined
    const look = async (): Promise<{ readonly stat: FileStat | undefined }> => ({
      stat: await filesystem.lstat(pathOfSeen(seen)),
    })
    const looked = await unlessDenied(this.place, pathOfSeen(seen), look)
    if (looked === undefined) return undefined
    const { stat } = looked
    if (stat === undefined || seen.stat === undefined) return stat === seen.stat ? task : undefined
    return sameSignature(stat, seen.stat) ? task : undefined
  }

  private async commitSteps(steps: readonly Step[]): Promise<void> {
    for (let index = 0; index < steps.length; index += commitChanges) {
      const part = steps.slice(index, index + commitChanges)
      const changes = part.flatMap((step) => step.changes)
      const rows = await withRowsBelow(
        this.place,
        part.flatMap((step) => step.rows),
      )
      await this.commit(changes, rows)
      for (const row of rows) applyToDirectories(this.place, row)
      await this.breathe()
    }
  }

  /**
   * @param looked undefined: everywhere. @returns what is deleted now. What the brake holds stays held by rounds that look
   * elsewhere, and counts: or part after part of it would pass.
   */
  private async commitGone(
    gone: readonly Deletion[],
    looked: ReadonlySet<string> | undefined,
  ): Promise<readonly Seen[]> {
    const isHeld = ({ seen }: Deletion): boolean => looked !== undefined && !looked.has(seen.parentId)
    this.braked = this.braked.filter(isHeld)
    if (gone.length === 0) return []
    const { clock, log } = this.env
    const count = gone.length + this.braked.length
    const request = { count, total: this.place.totals.entries, nowMs: clock.monotonicMs() }
    const asked = askBrake(this.brake, request, this.options.brake)
    if (!asked.allowed && !this.isAllowed) {
      this.braked = [...this.braked, ...gone]
      log.warn('many files vanished at once; their deletion waits for a person', { deletions: gone.length })
      return []
    }
    this.brake = asked.state
    await this.commitSteps(gone.map(({ change, row }) => ({ changes: [change], rows: [row] })))
    return gone.map(({ seen }) => seen)
  }

  private record(rows: readonly RowChange[]): void {
    this.recorded.push(...rows)
    this.changes.note(rows.map(keyOfRow))
    for (const change of rows) applyToDirectories(this.place, change)
    this.place.damage.recorded(rows)
  }

  private async flush(): Promise<void> {
    const rows = this.recorded
    this.recorded = []
    await this.place.settling.add(rows, this.place.applier.takeTouched())
  }

  /** A round broke off: what it did on the disk is recorded if that still works, else the index is asked again. */
  private async salvage(): Promise<void> {
    const rows = this.recorded
    this.recorded = []
    try {
      await this.commit([], rows)
    } catch (error) {
      this.env.log.warn(
        'rows of a broken round are lost; its files are recognised by content',
        errorFields(error),
      )
      this.lost()
    }
  }

  lost(): void {
    this.isIndexLost = true
  }

  private async reload(): Promise<void> {
    // First, so that what is lost meanwhile counts
    this.isIndexLost = false
    try {
      this.place.directories.clear()
      Object.assign(this.place.totals, await this.place.glance.load())
    } catch (error) {
      // With a part of the directories no round would look into the others, ever
      this.lost()
      throw error
    }
  }

  private async commit(changes: readonly TreeChange[], rows: readonly RowChange[]): Promise<void> {
    if (changes.length === 0 && rows.length === 0) return
    const { settling, part } = this.place
    assert(changes.length === 0 || !part.isReadOnly, 'a folder that only receives tells nothing')
    // What others are not told of need not wait: it goes behind what waits already
    if (changes.length === 0 && settling.pending > 0)
      return settling.add(rows, { files: [], directories: [] })
    await settling.drain()
    await this.store(changes, rows)
  }

  private async store(changes: readonly TreeChange[], rows: readonly RowChange[]): Promise<void> {
    const { stored } = this.place.settling
    const settled = withoutOverruled(rows)
    this.changes.note(settled.map(keyOfRow))
    const rowsBefore = await stored.commit(changes, settled)
    // Counted once it is stored: a commit that failed changed nothing
    const replaced = countRows(this.place.totals, settled, rowsBefore)
    const put = settled.flatMap((change) => (change.kind === 'put' ? [change.row] : []))
    this.place.bases.committed(put, [...replaced, ...changes.flatMap(baseOfEdit)])
  }

  private async breathe(): Promise<void> {
    if (this.env.clock.monotonicMs() - this.sliceStartMs < sliceMs) return
    await sleep(this.env.clock, 0)
    this.sliceStartMs = this.env.clock.monotonicMs()
  }
}
