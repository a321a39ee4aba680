/**
 * All that the further family of histories (parts-history.ts) needs beside the first one: what makes devices take a part, and
 * the checkers that go with it (checks/parts.ts, damage.ts, ignored.ts). For a history of the first family nothing of it is
 * there, and nothing runs.
 */
import { hasCode } from '../../src/base/errors.ts'
import type { FolderTree } from '../../src/files/folder-tree.ts'
import type { World } from '../world.ts'
import type { ContentCheck } from './checks/contents.ts'
import { createDamageCheck, type DamageCheck } from './checks/damage.ts'
import { createIgnoredCheck, type IgnoredCheck } from './checks/ignored.ts'
import {
  checkGranted,
  checkPartOf,
  createFetchCheck,
  documentPicture,
  type FetchCheck,
  selectionOf,
  watchReadOnly,
} from './checks/parts.ts'
import type { SimulatedPart, SpaceDevice } from './device.ts'
import { createSimulatedHolders } from './holders.ts'
import type { Fault, History } from './history.ts'
import { keptFiles } from './picture.ts'
import type { ActEffect } from './user.ts'

export interface PartChecksParts {
  readonly world: World
  readonly history: History
  readonly devices: () => readonly SpaceDevice[]
  readonly contents: () => ContentCheck
  readonly isCut: (a: SpaceDevice, b: SpaceDevice) => boolean
  readonly onFault: (what: string) => void
}

export class PartChecks {
  private readonly parts: PartChecksParts
  private readonly damage: DamageCheck
  private readonly ignored: IgnoredCheck
  private readonly fetches: FetchCheck
  private readonly holders
  /** Devices that left something out at some time: what stood there may be elsewhere. */
  private readonly partial = new Set<SpaceDevice>()
  /** What each device could not let go of yet, when last looked at. */
  private unreleased = ''

  constructor(parts: PartChecksParts) {
    this.parts = parts
    this.damage = createDamageCheck(parts.devices, parts.onFault)
    this.ignored = createIgnoredCheck(parts.onFault)
    this.fetches = createFetchCheck(parts.onFault)
    this.holders = createSimulatedHolders(parts)
  }

  /** How the device with this number takes part; undefined in the first family. */
  part(index: number): SimulatedPart | undefined {
    const part = this.parts.history.parts?.[index]
    return part && { ...part, askHolders: this.holders, onFetch: this.fetches.onFetch }
  }

  watch(device: SpaceDevice, tree: FolderTree): FolderTree {
    const { history, onFault } = this.parts
    if (history.parts === undefined) return tree
    const damaged = this.damage.watch(device, tree)
    const left = history.hasIgnoreRules === true ? this.ignored.watch(device, damaged) : damaged
    return watchReadOnly(device, left, onFault)
  }

  /** Which devices may hold what this one let go of. */
  holdersFor(device: SpaceDevice): readonly SpaceDevice[] {
    if (!this.partial.has(device) && selectionOf(device).isAll) return []
    this.partial.add(device)
    return this.parts.devices().filter((other) => other !== device)
  }

  async before(fault: Fault, device: SpaceDevice): Promise<void> {
    if (fault.kind !== 'damage') return
    const damaged = await this.damage.damage(device, fault.lot).catch((error: unknown) => {
      // Nothing can be known of its files until it opens again
      if (!hasCode(error, 'store.failed')) throw error
      return undefined
    })
    if (damaged === undefined) return
    this.parts.world.note(device.name, `its disk damages ${JSON.stringify(damaged.path)}`)
    this.parts.contents().damaged(device, damaged)
    this.ignored.forget(device)
  }

  after(fault: Fault, device: SpaceDevice): void {
    if (fault.kind === 'rules') this.holdersFor(device)
  }

  async acted(device: SpaceDevice, effect: ActEffect): Promise<void> {
    for (const content of await this.damage.acted(device, effect)) this.parts.contents().taken(content)
    this.ignored.forget(device)
  }

  /** What has to be so before all can be at rest; devices that wait for what is nowhere any more. */
  async settle(): Promise<{ readonly isSettled: boolean; readonly excused: ReadonlySet<SpaceDevice> }> {
    const devices = this.parts.devices()
    let isSettled = !this.hasReleased()
    const excused = new Set<SpaceDevice>()
    for (const device of devices) {
      if (!(await this.damage.pursue(device))) isSettled = false
      const status = device.folder?.status()
      if (status === undefined || status.transfers.waiting === 0) continue
      if ((await this.nowhere(device)) >= status.transfers.waiting) excused.add(device)
    }
    return { isSettled, excused }
  }

  /** Somebody let go of something since the last look, or could. */
  private hasReleased(): boolean {
    const now = this.parts
      .devices()
      .map(({ folder }) => folder?.status().unreleased ?? 0)
      .join()
    const isNews = now !== this.unreleased
    this.unreleased = now
    return isNews
  }

  /** Somebody may have come within reach of a holder a moment ago. */
  retry(): void {
    for (const { folder } of this.parts.devices()) if ((folder?.status().unreleased ?? 0) > 0) folder?.retry()
  }

  /** At rest. */
  async check(): Promise<void> {
    const devices = this.parts.devices()
    for (const device of devices) {
      if (this.parts.history.hasIgnoreRules === true) {
        await this.ignored.check(device)
        await this.ignored.observe(device)
      } else await checkPartOf(device, devices)
      const others = devices.filter((other) => other !== device)
      if (device.isGranted) await checkGranted(device, others)
    }
    const [first] = devices
    if (first?.space !== undefined) this.fetches.observe(await documentPicture(first.space))
  }

  /** A device was killed, and nothing has run there since. */
  async checkLeftOut(device: SpaceDevice): Promise<void> {
    await this.ignored.check(device)
  }

  /** Contents that the document wants here and that are nowhere: destroyed by a person on a device that tells nobody. */
  private async nowhere(device: SpaceDevice): Promise<number> {
    if (device.space === undefined) return 0
    const somewhere = new Set<string>()
    for (const { disk } of this.parts.devices())
      for (const { hash } of await keptFiles(disk)) if (hash !== undefined) somewhere.add(hash)
    const selection = selectionOf(device)
    const missing = new Set<string>()
    const document = await documentPicture(device.space).catch((error: unknown) => {
      // It opens again soon, and waits for whatever it waits until then
      if (!hasCode(error, 'store.failed')) throw error
      return new Map<string, string>()
    })
    for (const [path, what] of document) {
      const isContent = what !== 'dir' && !what.startsWith('-> ') && selection.selects(path, false)
      const hash = what.replace(/^\*/, '')
      if (isContent && !somewhere.has(hash)) missing.add(hash)
    }
    return missing.size
  }
}
