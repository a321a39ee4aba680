/**
 * The vaults that this full device keeps up: one link for each space that lies here, each storage device that is to hold it,
 * while that is connected and the key is known. Their contents are one more place for folders to fetch from.
 */
import type { Channel } from '../base/channel.ts'
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId, SpaceId } from '../base/ids.ts'
import type { Keep } from '../base/keep.ts'
import { errorFields } from '../base/log.ts'
import { createRpc, type Rpc } from '../base/rpc.ts'
import { createRpcMethods } from '../base/rpc-methods.ts'
import type { Scope } from '../base/scope.ts'
import type { BlobExchange } from '../blobs/exchange.ts'
import type { Settings, SpaceSetting } from '../crdt/settings.ts'
import { createGoneDays, type GoneDays } from '../vault/gone-days.ts'
import { createSealer } from '../vault/seal.ts'
import { createVaultClient, type VaultClient } from '../vault/vault-client.ts'
import { createVaultLink, type VaultLink, type VaultLinkStatus } from '../vault/vault-link.ts'
import type { Documents } from './documents.ts'
import { createSealedFolder } from './sealed-folder.ts'
import type { SpaceKeys } from './space-keys.ts'
import type { Joined, Shelf } from './space-shelf.ts'
import type { VaultPlaces } from './vault-places.ts'

export interface VaultLinkParts {
  readonly keep: Keep
  readonly documents: Documents
  readonly exchange: BlobExchange
  readonly settings: Settings
  readonly shelf: Shelf
  readonly keys: SpaceKeys
  readonly places: VaultPlaces
}

export interface VaultLinks {
  /** A storage device. The channel belongs to the links from here. */
  attach(device: DeviceId, channel: Channel): void
  /** Storage devices that are connected. */
  readonly connected: ReadonlyMap<DeviceId, Rpc>
  /** Undefined while there is no link. */
  status(space: SpaceId, device: DeviceId): VaultLinkStatus | undefined
  /** Spaces, keys, places or devices are others now. */
  refresh(): void
}

interface Running {
  readonly held: Joined
  readonly rpc: Rpc
  readonly vault: string
  readonly link: VaultLink
  readonly scope: Scope
}

export function startVaultLinks(env: Env, scope: Scope, parts: VaultLinkParts): VaultLinks {
  const links = new DeviceVaultLinks(env, scope, parts)
  scope.own(parts.places.onChanged(() => links.refresh()))
  scope.own(parts.keys.onChanged(() => links.refresh()))
  scope.own(parts.exchange.addAsked(() => links.asks()))
  links.refresh()
  return links
}

class DeviceVaultLinks implements VaultLinks {
  readonly connected = new Map<DeviceId, Rpc>()
  private readonly env: Env
  private readonly scope: Scope
  private readonly parts: VaultLinkParts
  private readonly running = new Map<string, Running>()
  private readonly goneDays = new Map<string, Promise<GoneDays>>()
  private turn: Promise<void> = Promise.resolve()

  constructor(env: Env, scope: Scope, parts: VaultLinkParts) {
    this.env = env
    this.scope = scope
    this.parts = parts
  }

  attach(device: DeviceId, channel: Channel): void {
    const rpc = createRpc(this.env, channel, createRpcMethods<DeviceId>(), device)
    const before = this.connected.get(device)
    this.connected.set(device, rpc)
    void before?.[Symbol.asyncDispose]()
    void channel.closed.then(() => {
      if (this.connected.get(device) === rpc) this.connected.delete(device)
      this.refresh()
    })
    this.refresh()
  }

  asks(): readonly VaultLink['ask'][] {
    return [...this.running.values()].map(({ link }) => link.ask)
  }

  status(space: SpaceId, device: DeviceId): VaultLinkStatus | undefined {
    return this.running.get(`${space} ${device}`)?.link.status
  }

  refresh(): void {
    this.turn = this.turn
      .then(() => this.reconcile())
      .catch((error: unknown) => this.env.log.error('vaults not looked at', errorFields(error)))
  }

  private async reconcile(): Promise<void> {
    if (this.scope.signal.aborted) return
    const { places, settings, shelf, keys } = this.parts
    const spaces = new Map((await settings.spaces()).map((space) => [space.id, space]))
    const wanted = new Set<string>()
    for (const { space, device } of await places.list()) {
      const held = shelf.joined.get(space)
      const info = spaces.get(space)
      const rpc = this.connected.get(device)
      const key = keys.get(space)
      if (held !== undefined && key === undefined) keys.ask(space)
      if (held === undefined || info === undefined || rpc === undefined || key === undefined) continue
      const name = `${space} ${device}`
      wanted.add(name)
      const now = this.running.get(name)
      if (now?.rpc === rpc && now.vault === createSealer(key).vault && now.held.space === held.space) continue
      await this.stop(name)
      this.running.set(name, await this.start({ held, rpc, key, device, info }))
    }
    for (const name of Array.from(this.running.keys())) if (!wanted.has(name)) await this.stop(name)
  }

  private async stop(name: string): Promise<void> {
    const now = this.running.get(name)
    this.running.delete(name)
    await now?.scope.close()
  }

  private async start(about: {
    readonly held: Joined
    readonly rpc: Rpc
    readonly key: Uint8Array
    readonly device: DeviceId
    readonly info: SpaceSetting
  }): Promise<Running> {
    const { documents, exchange, shelf, keep } = this.parts
    const { held, rpc, key, device, info } = about
    const sealer = createSealer(key)
    const scope = this.scope.child(`vault of ${held.spaceId}`)
    const folder = (): NonNullable<Joined['open']>['folder'] | undefined =>
      shelf.joined.get(held.spaceId)?.open?.folder
    const parts = { host: documents.host, space: held.space, info, device, folder }
    const goneName = `vault-gone-${sealer.vault}`
    const goneDays = await this.goneDaysOf(goneName)
    let wasComplete = false
    const link = createVaultLink(this.env, {
      device,
      client: paced(createVaultClient(rpc, sealer.vault), exchange),
      sealer,
      space: createSealedFolder(this.env, parts),
      goneDays,
      mayWrite: () => folder() !== undefined,
      onRead: () => exchange.retry(device),
      onStatus: ({ state }) => {
        if (state === 'complete' && !wasComplete)
          this.env.log.info('a space is held sealed', { spaceId: held.spaceId, deviceId: device })
        wasComplete = state === 'complete'
      },
      onCounted: () => keep.write(goneName, goneDays.encode()),
    })
    scope.own(held.space.on('changed', () => link.changed()))
    scope.spawn('keep a vault up', async (signal) => {
      await link.run(signal)
      this.refresh()
    })
    return { held, rpc, vault: sealer.vault, link, scope }
  }

  /** Shared by all devices that hold the same: what is gone is gone for all of them. */
  private goneDaysOf(name: string): Promise<GoneDays> {
    const held = this.goneDays.get(name)
    if (held !== undefined) return held
    const opening = this.parts.keep.read(name).then((kept) => createGoneDays(this.env.clock, kept))
    this.goneDays.set(name, opening)
    return opening
  }
}

/** Blocks go out within the rate that the person allows. */
const paced = (client: VaultClient, exchange: Pick<BlobExchange, 'paceSend'>): VaultClient => ({
  ...client,
  async put(id, sealed, signal) {
    await exchange.paceSend(sealed.byteLength, signal)
    await client.put(id, sealed, signal)
  },
})

export const notConnected = (device: string): SkeinError =>
  new SkeinError('peer.gone', `${device} is not connected`, { fix: 'skein up on it, then try again' })
