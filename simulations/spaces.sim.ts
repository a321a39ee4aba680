/**
 * Scenario `spaces`: 2-8 devices share a folder, with the production code of documents, store, sync, blobs and folder on
 * simulated network, disk and clock. People edit, rename, move and delete apart and together while things break; then all
 * heals, and every property is checked by its own checker (spaces/checks). A history is data: a failing one can be cut.
 */
import { newSpaceId } from '../src/base/ids.ts'
import type { FolderTree } from '../src/files/folder-tree.ts'
import { ignoreFile } from '../src/files/names.ts'
import type { SimulationResult } from './scenario.ts'
import { type BrakeCheck, createBrakeCheck } from './spaces/checks/brake.ts'
import { createContentCheck } from './spaces/checks/contents.ts'
import { createDeletionCheck, type DeletionCheck } from './spaces/checks/deletions.ts'
import { createGarbageCheck } from './spaces/checks/garbage.ts'
import { createIdentityCheck } from './spaces/checks/identities.ts'
import {
  checkAlone,
  checkPictures,
  documentNames,
  ghostsOf,
  isFolding,
  withoutGhosts,
} from './spaces/checks/pictures.ts'
import { checkDocuments, checkRest, checkStaging, restOf } from './spaces/checks/rest.ts'
import { checkClaim } from './spaces/checks/claims.ts'
import { checkRows } from './spaces/checks/rows.ts'
import { watchSeeding } from './spaces/checks/seeding.ts'
import { withoutIgnored } from './spaces/checks/ignored.ts'
import { SpaceDevice } from './spaces/device.ts'
import { createSpaceFaults, type SpaceFaults } from './spaces/faults.ts'
import { describeHistory, drawHistory, type History, type Phase, type Step } from './spaces/history.ts'
import { createSpaceLinks, type SpaceLinks } from './spaces/links.ts'
import { drawHomesHistory } from './spaces/homes-history.ts'
import { drawPartsHistory } from './spaces/parts-history.ts'
import { PartChecks } from './spaces/part-checks.ts'
import { contentKeyOf, type Picture, takePicture } from './spaces/picture.ts'
import { perform } from './spaces/user.ts'
import type { World, WorldOptions } from './world.ts'
import { createWorld } from './world.ts'

/** After the last fault all must be at rest within so long (P26, P30): the longest back-off and one look at everything. */
const convergeMs = 90_000
const lookMs = 100
/** Rounds of one run of a device that change something: far above what the longest history needs. */
const roundsMax = 400
/** What nobody waits for leaves staging with the next look at everything. */
const sweptMs = 605_000
/** After an error of the disk everything was tried again within so long. */
const troubleMs = 6_000
/** Nothing may have happened for so long before it counts as rest: above every debounce and grace. */
const restMs = 1_500

export interface SpacesOptions extends WorldOptions {
  readonly peers?: number
  /** P29: how wrong the wall clocks of the devices are, one after the other. */
  readonly wallOffsetsMs?: readonly number[]
}

export function runSpaces(seed: number, options: SpacesOptions = {}): Promise<SimulationResult> {
  return runHistory(drawHistory(seed, { peers: options.peers }), options)
}

/** The further family: devices that take a part, silent damage, rules of what is left out (spaces/parts-history.ts). */
export function runSpaceParts(seed: number, options: SpacesOptions = {}): Promise<SimulationResult> {
  return runHistory(drawPartsHistory(seed, { peers: options.peers }), options)
}

/** The third family: homes put back from backups, documents with what is no record (spaces/homes-history.ts). */
export function runSpaceHomes(seed: number, options: SpacesOptions = {}): Promise<SimulationResult> {
  return runHistory(drawHomesHistory(seed, { peers: options.peers }), options)
}

export async function runHistory(
  history: History,
  options: Omit<SpacesOptions, 'peers'> = {},
): Promise<SimulationResult> {
  const world = createWorld(history.seed, options)
  const simulation = new Spaces(world, history, options)
  let failure: string | undefined
  try {
    await simulation.run()
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  simulation.end()
  const notes = failure === undefined ? [] : [...describeHistory(history), ...world.recentNotes()]
  return { seed: history.seed, hash: world.traceHash(), failure, notes, shown: simulation.shown }
}

class Spaces {
  private readonly world: World
  private readonly history: History
  private readonly devices: readonly SpaceDevice[]
  private readonly links: SpaceLinks
  private readonly faults: SpaceFaults
  private readonly parts: PartChecks
  private readonly contents
  private readonly deletions: DeletionCheck
  private readonly brake: BrakeCheck
  private readonly garbage = createGarbageCheck()
  private fault: string | undefined
  /** Somebody waits for what no device has any more (part-checks.ts). */
  private hasExcused = false
  /** Devices that crashed; looked at before they start again. */
  private readonly crashed = new Set<SpaceDevice>()
  /** What all devices showed at the last rest. */
  shown = ''

  constructor(world: World, history: History, { isVerbose = false, wallOffsetsMs = [] }: SpacesOptions) {
    this.world = world
    this.history = history
    world.weather = history.weather
    const spaceId = newSpaceId(world.random)
    const brake = history.hasTightBrake
      ? { minCount: 3, maxShare: 0.2, windowMs: 60_000 }
      : { minCount: 1_000, maxShare: 1, windowMs: 60_000 }
    const onFault = (what: string): void => void (this.fault ??= what)
    this.deletions = createDeletionCheck(onFault)
    this.brake = createBrakeCheck(brake, () => world.clock.monotonicMs(), onFault)
    this.parts = new PartChecks({
      world,
      history,
      onFault,
      devices: () => this.devices,
      contents: () => this.contents,
      isCut: (a, b) => this.links.isCut(a, b),
    })
    const identities = createIdentityCheck(onFault)
    this.contents = createContentCheck((device) =>
      history.parts === undefined ? [] : this.parts.holdersFor(device),
    )
    this.devices = history.disks.map(
      (habits, index) =>
        new SpaceDevice({
          world,
          name: `d${index}`,
          spaceId,
          habits,
          // A disk is slow here in ways that would put the next sweep off for minutes
          options: { brake, sweepMs: history.sweepMs, sweepRestFactor: 0, noteFrom: history.noteFrom },
          deviceCount: history.disks.length,
          devices: () => this.devices,
          isVerbose,
          onFault,
          onIdentity: ({ name }, clientId) => identities.identified(name, clientId),
          onSetBack: (device) => {
            identities.setBack(device.name)
            this.garbage.setBack(device)
          },
          watchTree: (device, tree) => this.watch(device, tree, onFault),
          part: this.parts.part(index),
        }),
    )
    for (const [index, offsetMs] of wallOffsetsMs.entries()) {
      const device = this.devices[index]
      if (device !== undefined) device.wallOffsetMs = offsetMs
    }
    this.links = createSpaceLinks(world, this.devices)
    this.faults = createSpaceFaults(world, this.devices, this.links)
    for (const device of this.devices) {
      device.onStarted = () => this.links.serve(device)
      device.onEnded = () => this.links.gone(device)
      device.onCrash = (kind) => {
        if (kind === 'power') this.contents.lostPower(device)
        if (kind === 'power') this.deletions.lostPower(device)
        if (kind === 'power') this.garbage.setBack(device)
        this.crashed.add(device)
        this.faults.crashed(device)
      }
    }
  }

  private watch(device: SpaceDevice, tree: FolderTree, onFault: (what: string) => void): FolderTree {
    const watched = this.brake.watch(device, this.deletions.watch(device, tree))
    return this.parts.watch(device, watchSeeding(device.name, watched, onFault))
  }

  async run(): Promise<void> {
    if (this.history.hasIgnoreRules === true) await this.writeRules()
    for (const step of this.history.before) {
      await this.take(step)
      // No two files of two devices have the same times
      await this.world.advance(3)
    }
    for (const device of this.devices) device.start()
    await this.comeToRest()
    for (const phase of this.history.phases) {
      if (phase.kind === 'alone') await this.alone(phase)
      else await this.together(phase)
    }
    await this.stayAtRest()
  }

  end(): void {
    this.links.end()
    for (const device of this.devices) device.crash('kill')
  }

  private async alone(phase: Phase): Promise<void> {
    for (const step of phase.steps) {
      const device = this.devices[step.device]
      const ghosts = device === undefined ? new Set<string>() : await ghostsOf(device)
      const wasWhole = device?.isWhole === true
      await this.take(step)
      const expected = device === undefined ? undefined : await takePicture(device.disk)
      await this.pass(4_000)
      const shown = await this.comeToRest()
      if (device === undefined || expected === undefined || this.devices.some(isFolding)) continue
      if (!wasWhole || !device.isWhole || this.hasExcused || step.fault?.kind === 'damage') continue
      // A home from before does not know of what was moved away or deleted meanwhile
      if (step.fault?.kind === 'restore') continue
      // With other rules another part of the tree is there for all
      if (this.history.hasIgnoreRules === true) continue
      const meant = withoutGhosts(await documentNames(device, expected), ghosts)
      checkAlone(meant, shown, this.contents.isMerged)
    }
  }

  private async together(phase: Phase): Promise<void> {
    for (const index of phase.apart) this.separate(index)
    for (const step of phase.steps) {
      await this.pass(step.afterMs)
      await this.take(step)
    }
    await this.pass(phase.apart.length > 0 ? 1_000 : 50)
    await this.comeToRest()
  }

  private separate(index: number): void {
    const device = this.devices[index]
    if (device === undefined) return
    for (const other of this.devices) if (other !== device) this.links.cut(device, other)
  }

  private async take({ device: index, act, fault }: Step): Promise<void> {
    const device = this.devices[index]
    if (device === undefined) return
    if (fault?.kind === 'damage') await this.parts.before(fault, device)
    if (fault !== undefined) this.faults.apply({ afterMs: 0, device: index, act, fault }, fault)
    if (fault !== undefined) this.parts.after(fault, device)
    // Not waited for: who crashes meanwhile never answers; nor in the midst of what the person does now
    if (fault?.kind === 'scribble')
      this.world.clock.setTimer(1, () => void this.garbage.scribble(device, fault.lots))
    if (fault?.kind === 'errors' || fault?.kind === 'store-fails') this.deletions.failing(device)
    if (act === undefined || device.health.isUnmounted) return
    const { hasSpellings } = this.history
    const nowMs = this.world.clock.nowMs() + device.wallOffsetMs
    const effect = await perform(device.disk, act, { hasSpellings, nowMs })
    if (effect.told !== undefined) this.world.note(device.name, `user ${effect.told}`)
    this.contents.acted(device, effect)
    this.deletions.acted(device, act.kind)
    if (this.history.parts !== undefined) await this.parts.acted(device, effect)
  }

  private async writeRules(): Promise<void> {
    const [first] = this.devices
    const bytes = new TextEncoder().encode('d\n*.bin\n')
    await first?.disk.createSmall(ignoreFile, bytes, { mode: 0o644, mtimeNs: 0n })
    await first?.disk.syncAll([ignoreFile], [''])
    const written = [contentKeyOf(bytes)]
    if (first !== undefined)
      this.contents.acted(first, { written, destroyed: [], touched: [], told: undefined })
  }

  /** What is there for all devices. */
  private shared(device: SpaceDevice, picture: Picture): Picture | Promise<Picture> {
    return this.history.hasIgnoreRules === true ? withoutIgnored(device, picture) : picture
  }

  private async pass(byMs: number): Promise<void> {
    const untilMs = this.world.clock.monotonicMs() + byMs
    do {
      await this.world.advance(Math.min(lookMs, untilMs - this.world.clock.monotonicMs()))
      await this.look()
    } while (this.world.clock.monotonicMs() < untilMs)
  }

  /** What must hold at any moment. */
  private async look(): Promise<void> {
    if (this.fault !== undefined) throw new Error(this.fault)
    for (const { name, folder } of this.devices) {
      const status = folder?.status()
      if (status === undefined) continue
      // P26: whatever happens, nobody goes round and round
      if (status.rounds > roundsMax) throw new Error(`${name} goes round and round: ${this.states()}`)
      checkClaim(name, status)
    }
    for (const device of this.crashed) {
      this.crashed.delete(device)
      if (device.folder !== undefined) continue
      await this.contents.check(device)
      if (this.history.parts !== undefined) await this.parts.checkLeftOut(device)
    }
  }

  /** Everything heals; then all must become equal and stay so. */
  private async comeToRest(): Promise<Picture> {
    const wasDeaf = this.faults.wasDeaf()
    this.faults.healAll()
    // A device that lists problems counts as calm where disks take two names for one, but not with those of a failing disk
    if (this.history.hasSpellings && this.faults.hadTrouble) await this.pass(troubleMs)
    // P27: what no event told of is found by the next look at everything
    if (wasDeaf) await this.pass(this.history.sweepMs + lookMs)
    if (this.history.parts !== undefined) this.parts.retry()
    const untilMs = this.world.clock.monotonicMs() + convergeMs
    let last = ''
    let sinceMs = 0
    while (this.world.clock.monotonicMs() < untilMs) {
      await this.pass(lookMs)
      const rest = (await this.isCalm()) ? restOf(this.devices) : ''
      if (rest === '' || rest !== last) sinceMs = this.world.clock.monotonicMs()
      else if (this.world.clock.monotonicMs() - sinceMs >= restMs) return await this.checkAll()
      last = rest
    }
    throw new Error(`not at rest after ${convergeMs} ms: ${this.states()}`)
  }

  private async isCalm(): Promise<boolean> {
    const isHindered = this.history.hasSpellings
    const { isSettled, excused } = await this.settleParts()
    this.hasExcused = excused.size > 0
    if (!isSettled) return false
    for (const device of this.devices) {
      if ((device.folder?.status().heldDeletions ?? 0) === 0) continue
      this.brake.allowed(device)
      device.folder?.allowDeletions()
    }
    return this.devices.every((device) => {
      const status = device.folder?.status()
      // A directory that was made here and is not sent may stand where another thing is to come
      const mayBeBlocked = isHindered || !device.isWhole
      const isBlocked =
        mayBeBlocked &&
        status?.state === 'waiting' &&
        status.transfers.waiting === 0 &&
        // What a failing disk refused is tried again by itself
        !status.problems.some(({ isRetrying }) => isRetrying === true)
      if (status?.state !== 'in-sync' && !isBlocked && !excused.has(device)) return false
      return this.devices.every((other) => other === device || device.sync?.inSync(other.deviceId) === true)
    })
  }

  private async settleParts(): ReturnType<PartChecks['settle']> {
    return this.history.parts === undefined
      ? { isSettled: true, excused: new Set<SpaceDevice>() }
      : await this.parts.settle()
  }

  private states(): string {
    return JSON.stringify(
      this.devices.map((device) => {
        const status = device.folder?.status()
        const apart = this.devices
          .filter((other) => other !== device && device.sync?.inSync(other.deviceId) !== true)
          .map(({ name }) => name)
        return { name: device.name, ...status, notInSyncWith: apart }
      }),
    )
  }

  private async checkAll(): Promise<Picture> {
    const isPart = this.history.parts !== undefined
    const whole = isPart ? this.devices.filter((device) => device.isWhole && !this.hasExcused) : this.devices
    const picture = await checkPictures(whole, (device, shown) => this.shared(device, shown))
    await checkDocuments(this.devices)
    await this.garbage.check(this.devices)
    if (isPart) await this.parts.check()
    for (const device of this.devices) {
      if (whole.includes(device) && this.history.hasIgnoreRules !== true) await checkRows(device)
      await this.contents.check(device)
      await this.contents.observe(device)
    }
    this.shown = JSON.stringify([...picture])
    this.world.note('world', `at rest ${restOf(this.devices)} ${JSON.stringify([...picture])}`)
    return picture
  }

  private async stayAtRest(): Promise<void> {
    // What a disk in trouble refused is done a while later, also what nobody waits for (bases of merges)
    if (this.faults.hadTrouble) await this.pass(troubleMs)
    const isLong = this.history.quietMs > sweptMs
    // The next look at everything tidies up; after it nothing may happen for as long again
    if (isLong) await this.pass(sweptMs)
    const isPart = this.history.parts !== undefined
    // What is let go of waits until somebody answers that it is held, and lies aside for ten minutes more
    if (isPart) await this.comeToRest()
    const before = restOf(this.devices)
    await this.pass(this.history.quietMs)
    // A disk that takes two names for one tries again with each look at everything
    if (!this.history.hasSpellings && !this.hasExcused && !(isPart && isLong))
      checkRest(before, restOf(this.devices))
    // A look at everything may be under way right now
    await this.comeToRest()
    if (isLong) for (const device of this.devices) await checkStaging(device)
  }
}
