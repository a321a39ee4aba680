/**
 * The storage side: holds vaults for the full devices of the mesh, within the room that its person allowed. Judges no
 * content, for it can read none: it keeps bytes by id, in order, and gives them back.
 */
import type { Env } from '../base/env.ts'
import { SkeinError } from '../base/errors.ts'
import type { DeviceId } from '../base/ids.ts'
import { isId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { Channel } from '../base/channel.ts'
import { createRpc } from '../base/rpc.ts'
import { createRpcMethods, type RpcMethods } from '../base/rpc-methods.ts'
import type { VaultDisk } from './vault-disk.ts'
import { openVaultStore, type VaultStore } from './vault-store.ts'
import * as wire from './vault-wire.ts'

export interface VaultDisks {
  /** Names of the vaults that are there. */
  list(): Promise<readonly string[]>
  open(vault: string): Promise<VaultDisk>
  /** All of it. Its disk was disposed before. */
  remove(vault: string): Promise<void>
  /** Bytes left on the disk. */
  free(): Promise<number>
}

export interface HeldVault {
  readonly vault: string
  readonly blockCount: number
  readonly sizeBytes: number
}

export interface VaultServer extends AsyncDisposable {
  /** Answers on this channel until it ends. */
  attach(remote: DeviceId, channel: Channel): void
  held(): readonly HeldVault[]
  readonly usedBytes: number
  /** Reads everything; what is damaged is forgotten, and brought again by the next full device that looks. */
  scrub(signal: AbortSignal): Promise<void>
}

export interface VaultServerOptions {
  /** Room for all vaults together; undefined: its person has not said that this device may hold anything. */
  readonly quotaBytes: () => number | undefined
  /** Asked for each call. @throws `auth.denied`. */
  readonly check: (remote: DeviceId) => void
}

interface Caller {
  readonly device: DeviceId
  readonly channel: Channel
}

/** Records in one answer: with its envelope it is one message. */
const answerBytes = 900_000

/** Opens all vaults that are there. @throws `disk.failed`. */
export async function openVaultServer(
  env: Env,
  disks: VaultDisks,
  options: VaultServerOptions,
): Promise<VaultServer> {
  const server = new DeviceVaults(env, disks, options)
  await server.load()
  return server
}

class DeviceVaults implements VaultServer {
  private readonly env: Env
  private readonly disks: VaultDisks
  private readonly options: VaultServerOptions
  private readonly stores = new Map<string, Promise<VaultStore>>()
  private readonly opened = new Map<string, VaultStore>()
  private readonly leaders = new Map<string, Caller>()
  private readonly methods: RpcMethods<Caller>
  private readonly channels = new Set<Channel>()

  constructor(env: Env, disks: VaultDisks, options: VaultServerOptions) {
    this.env = env
    this.disks = disks
    this.options = options
    this.methods = this.createMethods()
  }

  async load(): Promise<void> {
    for (const name of await this.disks.list()) {
      if (!isId(name)) continue
      await this.store(name).catch((error: unknown) => {
        // because: one vault that cannot be read must not keep the others from being given back
        this.env.log.error('a vault could not be opened', { vault: name, ...errorFields(error) })
      })
    }
  }

  attach(device: DeviceId, channel: Channel): void {
    const caller = { device, channel }
    this.channels.add(channel)
    createRpc(this.env, channel, this.methods, caller)
    void channel.closed.then(() => {
      this.channels.delete(channel)
      for (const [vault, leader] of this.leaders) if (leader === caller) this.leaders.delete(vault)
    })
  }

  held(): readonly HeldVault[] {
    return [...this.opened].map(([vault, { usage }]) => ({
      vault,
      blockCount: usage.blockCount,
      sizeBytes: usage.sizeBytes,
    }))
  }

  get usedBytes(): number {
    return this.held().reduce((sum, one) => sum + one.sizeBytes, 0)
  }

  async scrub(signal: AbortSignal): Promise<void> {
    for (const [vault, store] of this.opened) {
      const damaged = await store.scrub(signal)
      if (damaged > 0) this.env.log.warn('blocks were damaged on this disk', { vault, damaged })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.channels) channel.abort(new SkeinError('channel.aborted', 'shutting down'))
    for (const store of this.opened.values()) await store[Symbol.asyncDispose]()
  }

  // --- what is asked ----------------------------------------------------------------------------------------------

  private createMethods(): RpcMethods<Caller> {
    const methods = createRpcMethods<Caller>()
    this.addReads(methods)
    this.addWrites(methods)
    methods.request('vault.lead', wire.leadAsk, ({ vault, isWanted }, { remote }) => {
      this.options.check(remote.device)
      const leader = this.leaders.get(vault)
      if (!isWanted && leader === remote) this.leaders.delete(vault)
      if (isWanted && leader === undefined) this.leaders.set(vault, remote)
      return { value: { isLeader: isWanted && this.leaders.get(vault) === remote } }
    })
    return methods
  }

  private addReads(methods: RpcMethods<Caller>): void {
    methods.request('vault.open', wire.vaultOnly, async ({ vault }, { remote }) => {
      const store = await this.find(remote, vault)
      const usage = store?.usage ?? { blockCount: 0, recordCount: 0, sizeBytes: 0 }
      const quotaBytes = this.options.quotaBytes()
      const room = { usedBytes: this.usedBytes, ...(quotaBytes !== undefined && { quotaBytes }) }
      return { value: { generation: store?.generation ?? 0, ...usage, ...room } }
    })
    methods.request('vault.records', wire.recordsAsk, async ({ vault, generation, from }, { remote }) => {
      const store = await this.need(remote, vault)
      if (store.generation !== generation) throw new SkeinError('vault.overtaken', 'this generation is gone')
      const items: { readonly id: Uint8Array; readonly length: number }[] = []
      const parts: Uint8Array[] = []
      let sizeBytes = 0
      for (let number = from; number < store.recordCount && items.length < wireRecords; number++) {
        const record = await store.readRecord(number).catch((error: unknown) => {
          this.env.log.warn('a record could not be read', { vault, number, ...errorFields(error) })
          return { id: new Uint8Array(32), bytes: new Uint8Array() }
        })
        if (items.length > 0 && sizeBytes + record.bytes.byteLength > answerBytes) break
        items.push({ id: record.id, length: record.bytes.byteLength })
        parts.push(record.bytes)
        sizeBytes += record.bytes.byteLength
      }
      const value = { generation, recordCount: store.recordCount, items }
      return { value, body: Buffer.concat(parts) }
    })
    methods.request('vault.want', wire.wantAsk, async ({ vault, ids }, { remote }) => {
      const store = await this.find(remote, vault)
      const missing = new Uint8Array(limits.vaultIds / 8)
      for (const [index, id] of wire.splitIds(ids).entries()) {
        if (store?.has(id) === true) continue
        missing[index >>> 3] = (missing[index >>> 3] ?? 0) | (1 << (index & 7))
      }
      return { value: { missing } }
    })
    methods.request('vault.get', wire.blockAsk, async ({ vault, id }, { remote }) => {
      return { value: {}, body: await (await this.need(remote, vault)).readBlock(id) }
    })
    methods.request('vault.blocks', wire.pageAsk, async ({ vault, from }, { remote }) => {
      const store = await this.need(remote, vault)
      return { value: { ids: wire.joinIds(store.blockIds(from, limits.vaultIds)) } }
    })
  }

  private addWrites(methods: RpcMethods<Caller>): void {
    methods.request('vault.put', wire.blockAsk, async ({ vault, id }, { remote, body }) => {
      if (body.byteLength !== limits.vaultBlockBytes)
        throw new SkeinError('codec.invalid', 'a block of another length')
      const store = await this.needRoom(remote, vault, body.byteLength)
      await store.putBlock(id, body)
      return { value: {} }
    })
    methods.request('vault.append', wire.appendAsk, async (ask, { remote, body }) => {
      const { vault, generation, number, id } = ask
      const store = await this.needRoom(remote, vault, body.byteLength)
      await store.appendRecord(generation, number, { id, bytes: body })
      return { value: {} }
    })
    methods.request('vault.commit', wire.commitAsk, async ({ vault, generation, count }, { remote }) => {
      await (await this.needLead(remote, vault)).commit(generation, count)
      return { value: {} }
    })
    methods.request('vault.drop', wire.wantAsk, async ({ vault, ids }, { remote }) => {
      await (await this.needLead(remote, vault)).drop(wire.splitIds(ids))
      return { value: {} }
    })
    methods.request('vault.forget', wire.vaultOnly, async ({ vault }, { remote }) => {
      const store = await this.find(remote, vault)
      if (store === undefined) return { value: {} }
      this.stores.delete(vault)
      this.opened.delete(vault)
      await store[Symbol.asyncDispose]()
      await this.disks.remove(vault)
      this.env.log.info('a sealed space was given up', { vault, deviceId: remote.device })
      return { value: {} }
    })
  }

  // --- vaults -----------------------------------------------------------------------------------------------------

  private async find(remote: Caller, vault: string): Promise<VaultStore | undefined> {
    this.options.check(remote.device)
    return await this.stores.get(vault)
  }

  private async need(remote: Caller, vault: string): Promise<VaultStore> {
    const store = await this.find(remote, vault)
    if (store === undefined) throw new SkeinError('not.found', 'nothing is held of this space')
    return store
  }

  private async needLead(remote: Caller, vault: string): Promise<VaultStore> {
    const store = await this.need(remote, vault)
    this.checkLead(remote, vault)
    return store
  }

  /** Who writes while another one clears would lose what it has put and not yet named. */
  private checkLead(remote: Caller, vault: string): void {
    if (this.leaders.get(vault) !== remote)
      throw new SkeinError('vault.overtaken', 'another device writes to this sealed space')
  }

  /** For what adds bytes: with the person's leave, within the room that was given, with some left on the disk. */
  private async needRoom(remote: Caller, vault: string, sizeBytes: number): Promise<VaultStore> {
    this.options.check(remote.device)
    this.checkLead(remote, vault)
    const quotaBytes = this.options.quotaBytes()
    if (quotaBytes === undefined)
      throw new SkeinError('auth.denied', 'this device holds nothing for others', {
        fix: 'on that device: skein hold --quota 50G',
      })
    if (this.usedBytes + sizeBytes > quotaBytes)
      throw new SkeinError('limit.exceeded', 'the room that this device gives is used up', {
        fix: 'on that device: skein hold --quota SIZE, with a larger one',
      })
    if ((await this.disks.free()) < limits.vaultReserveBytes + sizeBytes)
      throw new SkeinError('disk.full', 'the disk of the storage device is full', {
        fix: 'make room on that device',
      })
    if (!this.stores.has(vault) && this.stores.size >= limits.vaults)
      throw new SkeinError('limit.exceeded', `a storage device holds ${limits.vaults} spaces at most`)
    return await this.store(vault)
  }

  private store(vault: string): Promise<VaultStore> {
    const held = this.stores.get(vault)
    if (held !== undefined) return held
    const opening = this.disks.open(vault).then(async (disk) => {
      const store = await openVaultStore(this.env, disk)
      this.opened.set(vault, store)
      return store
    })
    this.stores.set(vault, opening)
    opening.catch(() => this.stores.delete(vault))
    return opening
  }
}

const wireRecords = limits.vaultIds
