/** Breaks things in a simulated space for a while, as the history says, and heals all at the end of a phase. */
import type { World } from '../world.ts'
import type { SpaceDevice } from './device.ts'
import type { Fault, HomeFault, PartFault, Step } from './history.ts'
import type { SpaceLinks } from './links.ts'

export interface SpaceFaults {
  apply(step: Step, fault: Fault): void
  /** A device has crashed: it starts again after a while. */
  crashed(device: SpaceDevice): void
  /** Watch events were lost since the last call. */
  wasDeaf(): boolean
  /** A disk or store has failed at some time. */
  readonly hadTrouble: boolean
  /** Ends everything that is broken; devices that are down start within a moment. */
  healAll(): void
}

export function createSpaceFaults(
  world: World,
  devices: readonly SpaceDevice[],
  links: SpaceLinks,
): SpaceFaults {
  return new DrawnFaults(world, devices, links)
}

/** The next start after a crash that the history gave no time for. */
const restartMs = 100

class DrawnFaults implements SpaceFaults {
  private readonly world: World
  private readonly devices: readonly SpaceDevice[]
  private readonly links: SpaceLinks
  private readonly downMs = new Map<SpaceDevice, number>()
  private hasBeenDeaf = false
  hadTrouble = false
  private readonly stopping = new Set<SpaceDevice>()

  constructor(world: World, devices: readonly SpaceDevice[], links: SpaceLinks) {
    this.world = world
    this.devices = devices
    this.links = links
  }

  apply(step: Step, fault: Fault): void {
    const device = this.devices[step.device]
    if (device === undefined) return
    this.world.note(device.name, `fault ${JSON.stringify(fault)}`)
    switch (fault.kind) {
      case 'cut':
      case 'reset': {
        const other = this.devices[fault.other]
        if (other === undefined || other === device) return
        if (fault.kind === 'reset') return this.links.reset(device, other)
        this.links.cut(device, other)
        return this.after(fault.forMs, () => this.links.heal(device, other))
      }
      case 'isolate':
        for (const other of this.devices) if (other !== device) this.links.cut(device, other)
        return this.after(fault.forMs, () => this.devices.forEach((other) => this.links.heal(device, other)))
      case 'crash':
        device.crashKind = fault.how
        device.health.changesLeft = fault.afterChanges
        return void this.downMs.set(device, fault.downMs)
      case 'restart':
        return this.restart(device, fault.downMs)
      case 'freeze':
        device.process?.freeze()
        return this.after(fault.forMs, () => device.process?.thaw())
      case 'errors':
        this.hadTrouble = true
        device.health.errorRate = fault.rate
        device.health.errorCode = fault.code
        return this.after(fault.forMs, () => void (device.health.errorRate = 0))
      case 'store-fails':
        this.hadTrouble = true
        return device.storeDisk.failBatches(1)
      case 'deaf':
        device.health.isDeaf = true
        this.hasBeenDeaf = true
        return this.after(fault.forMs, () => void (device.health.isDeaf = false))
      case 'unmount':
        this.hadTrouble = true
        device.health.isUnmounted = true
        return this.after(fault.forMs, () => void (device.health.isUnmounted = false))
      case 'clock':
        return void (device.wallOffsetMs += fault.byMs)
      case 'pause':
        device.folder?.pause()
        return this.after(fault.forMs, () => device.folder?.resume())
      case 'back-up':
      case 'restore':
      case 'scribble':
        return this.applyHome(device, fault)
      default:
        return this.applyPart(device, fault)
    }
  }

  private applyHome(device: SpaceDevice, fault: HomeFault): void {
    switch (fault.kind) {
      case 'back-up':
        return device.backUp()
      case 'restore':
        this.downMs.set(device, fault.downMs)
        return device.restoreHome()
      case 'scribble':
        // Its check has to know of it: spaces.sim.ts
        return undefined
    }
  }

  private applyPart(device: SpaceDevice, fault: PartFault): void {
    switch (fault.kind) {
      case 'rules':
        device.rules = fault.rules
        return device.reopen()
      case 'shelve':
        device.isShelved = true
        device.reopen()
        return this.after(fault.forMs, () => unshelve(device))
      case 'revert':
        // because: it is not waited for, and a folder that ends takes nothing back
        device.folder?.part.reverting.ask(['']).catch(() => undefined)
        return device.folder?.rescan()
      case 'stop-scrub':
        return device.folder?.scrub.stop()
      case 'damage':
        // What it hits depends on the disk: part-checks.ts
        return undefined
    }
  }

  crashed(device: SpaceDevice): void {
    const downMs = this.downMs.get(device) ?? restartMs
    this.downMs.delete(device)
    this.after(downMs, () => device.start())
  }

  wasDeaf(): boolean {
    const { hasBeenDeaf } = this
    this.hasBeenDeaf = false
    return hasBeenDeaf
  }

  healAll(): void {
    this.links.healAll()
    for (const device of this.devices) {
      const { health } = device
      Object.assign(health, { errorRate: 0, isDeaf: false, isUnmounted: false })
      health.changesLeft = Number.POSITIVE_INFINITY
      device.storeDisk.failBatches(0)
      device.process?.thaw()
      device.folder?.resume()
      unshelve(device)
      if (!this.stopping.has(device)) device.start()
    }
  }

  private restart(device: SpaceDevice, downMs: number): void {
    if (this.stopping.has(device)) return
    this.stopping.add(device)
    const stopped = (): void => {
      this.stopping.delete(device)
      this.after(downMs, () => device.start())
    }
    // A store that fails on the way out leaves what a kill leaves
    void device.stop().then(stopped, () => {
      device.crash('kill')
      stopped()
    })
  }

  private after(delayMs: number, act: () => void): void {
    this.world.clock.setTimer(delayMs, act)
  }
}

function unshelve(device: SpaceDevice): void {
  if (!device.isShelved) return
  device.isShelved = false
  device.reopen()
}
