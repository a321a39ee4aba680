/**
 * Checksummed rows on an ordered database: atomic batches, group fsync at most a second late, quarantine of damaged
 * rows, stop and reopen after a failed write, and the identity of the store. It knows no documents: document-log.ts
 * lays them out in rows. Key families: `m!` store, `u! s! v!` documents, `q!` quarantine, others their owners'.
 */
import type { Env } from '../base/env.ts'
import { backoffMs } from '../base/backoff.ts'
import { asSkeinError, hasCode, SkeinError } from '../base/errors.ts'
import { createEmitter, type Events } from '../base/events.ts'
import { errorFields } from '../base/log.ts'
import { createScope } from '../base/scope.ts'
import { sleep } from '../base/clock.ts'
import type { Database, KeyRange, Row, RowChange } from './database.ts'
import { openRow, sealRow, sealRows } from './sealed-row.ts'
import * as identities from './store-identity.ts'
import type { Witness } from './witness.ts'

/** Write-ahead data reaches the disk platter at most this late. */
const syncDelayMs = 1_000
const reopenBackoff = { firstMs: 250, maxMs: 30_000 }

export interface StoreEvents {
  /** A write failed: nothing is taken until the store has reopened by itself. */
  failed: { readonly error: SkeinError }
  reopened: { readonly identity: identities.StoreIdentity }
  /** A damaged row was moved to `q!<key>`. */
  corrupt: { readonly key: string; readonly sizeBytes: number }
  /** The store writes under a new identity from now on. */
  identified: { readonly identity: identities.StoreIdentity }
  /** Another store writes with our clientID, or ours was rolled back. */
  forked: { readonly document: string; readonly clientId: number }
}

export interface Store extends Events<StoreEvents>, AsyncDisposable {
  readonly identity: identities.StoreIdentity
  readonly status: 'open' | 'failed' | 'closed'
  /** The payload, or undefined when there is none or it is damaged (then it is quarantined and reported). */
  get(key: string): Promise<Uint8Array | undefined>
  getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>
  scan(range: KeyRange): AsyncIterable<Row>
  /** The same, many at a time: where there may be a million. */
  scanMany(range: KeyRange): AsyncIterable<readonly Row[]>
  keys(range: KeyRange): AsyncIterable<string>
  /**
   * One atomic batch, with the Lamport counter in it. Resolved: it survives the death of the process; with `isDurable` also
   * the loss of power, with all that was written before. @throws `store.failed`.
   */
  write(changes: readonly RowChange[], options?: { readonly isDurable?: boolean }): Promise<void>
  /** Everything written before the call survives a power cut once resolved. @throws `store.failed`. */
  durable(): Promise<void>
  /** How often rows may have gone, or earlier ones come back, by no write of their owner. */
  readonly losses: number
  noteLoss(): void
  /** The next Lamport time: above every one seen or given before, in this and earlier runs. */
  tick(): number
  /** Takes note of a Lamport time of another writer. */
  observe(lamport: number): void
  /** Draws a new identity: the tripwire has seen a fork, or part of a document was lost. */
  renewIdentity(reason: 'forked' | 'damaged', document: string): Promise<void>
  /** Sync, mark clean, close. Idempotent. */
  close(): Promise<void>
}

export interface StoreOptions {
  /** Opens the database; called again after a failed write. */
  readonly open: () => Promise<Database>
  readonly witness: Witness
  /** Names this run of the system; undefined where that cannot be told: then a killed process counts as a power cut. */
  readonly boot?: string | undefined
}

const namelessMax = 10_000
const lamportKey = 'm!lamport'
const identityKey = 'm!identity'

/** Opens a store. @throws `home.locked`, `store.failed`, `store.corrupt`. */
export async function openStore(env: Env, options: StoreOptions): Promise<Store> {
  const store = new LevelStore(env, options)
  await store.start()
  return store
}

/** Reads; when that meets damage below the rows, once more after the store has opened again, which repairs it. */
export async function readRepaired<T>(store: Store, read: () => Promise<T>): Promise<T> {
  const reopened = Promise.withResolvers<undefined>()
  using _watch = store.on('reopened', () => reopened.resolve(undefined))
  try {
    return await read()
  } catch (error) {
    if (!hasCode(error, 'store.corrupt') || store.status === 'closed') throw error
    await reopened.promise
    return await read()
  }
}

class LevelStore implements Store {
  identity: identities.StoreIdentity = { clientId: 0, incarnation: '', reason: 'new' }
  status: 'open' | 'failed' | 'closed' = 'failed'
  losses = 0
  private readonly env: Env
  private readonly options: StoreOptions
  private readonly events
  private readonly scope
  private database: Database | undefined
  private witness = ''
  /** Damaged rows whose key cannot be written any more, so that they cannot be taken out: told once, passed over later. */
  private readonly nameless = new Set<string>()
  private lamport = 0
  private storedLamport = 0
  private written = 0
  private synced = 0
  private syncing: Promise<void> | undefined
  private syncTimer: Disposable | undefined

  constructor(env: Env, options: StoreOptions) {
    this.env = env
    this.options = options
    this.events = createEmitter<StoreEvents>(env.log)
    this.scope = createScope(env, 'store')
  }

  on: Store['on'] = (name, listener) => this.events.on(name, listener)

  async start(reason?: identities.IdentityReason): Promise<void> {
    const database = await this.options.open()
    this.database = database
    try {
      const row = database.hasLostRows ? 'damaged' : await this.readIdentity(database)
      const place = { witness: await this.options.witness.read(), boot: this.options.boot }
      this.identity =
        reason === undefined || row === 'damaged'
          ? identities.chooseIdentity(row, place, this.env.random)
          : identities.drawIdentity(this.env.random, reason)
      const lamport = await this.get(lamportKey)
      this.lamport = Math.max(
        this.lamport,
        lamport === undefined ? 0 : Number(new TextDecoder().decode(lamport)),
      )
      this.storedLamport = this.lamport
      this.witness = await this.options.witness.renew(this.env.random)
      // Marked unclean before the first write of this run, or a crash right after it would look like a clean stop
      await this.writeIdentity(database, false)
    } catch (error) {
      this.database = undefined
      await database.close()
      throw asSkeinError(error, 'store.failed')
    }
    this.status = 'open'
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.getMany([key]))[0]
  }

  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    if (keys.length === 0) return []
    const rows = await this.reading((database) => database.getMany(keys))
    const out: (Uint8Array | undefined)[] = []
    for (const [index, key] of keys.entries()) {
      const row = rows[index]
      out.push(row === undefined ? undefined : (openRow(key, row) ?? (await this.quarantine(key, row))))
    }
    return out
  }

  async *scan(range: KeyRange): AsyncGenerator<Row> {
    for await (const rows of this.scanMany(range)) yield* rows
  }

  async *scanMany(range: KeyRange): AsyncGenerator<readonly Row[]> {
    for await (const rows of this.walking((database) => database.scan(range))) {
      const opened: Row[] = []
      for (const [key, row] of rows) {
        const payload = openRow(key, row)
        if (payload !== undefined) opened.push([key, payload])
        else if (!this.nameless.has(key)) await this.quarantine(key, row)
      }
      yield opened
    }
  }

  keys(range: KeyRange): AsyncIterable<string> {
    return this.walking((database) => database.keys(range))
  }

  async write(
    changes: readonly RowChange[],
    { isDurable = false }: { readonly isDurable?: boolean } = {},
  ): Promise<void> {
    const sealed = sealRows(changes)
    const lamport = this.lamport
    if (lamport !== this.storedLamport) sealed.push(textRow(lamportKey, String(lamport)))
    if (sealed.length === 0) return
    const before = this.written
    await this.guarded((database) => database.batch(sealed, { sync: isDurable }))
    this.storedLamport = Math.max(this.storedLamport, lamport)
    this.written++
    if (isDurable) {
      // Counted by what was written before the call: what came meanwhile may stand behind it in the log
      this.synced = Math.max(this.synced, before)
      if (this.written === before + 1) this.synced = this.written
      return
    }
    this.syncTimer ??= this.env.clock.setTimer(syncDelayMs, () => {
      this.syncTimer = undefined
      this.scope.spawn('sync', () => this.durable().catch(() => undefined)) // because: guarded reported it already
    })
  }

  async durable(): Promise<void> {
    const target = this.written
    while (this.synced < target) {
      this.syncing ??= this.syncNow().finally(() => {
        this.syncing = undefined
      })
      await this.syncing
    }
  }

  noteLoss(): void {
    this.losses++
  }

  tick(): number {
    this.lamport++
    return this.lamport
  }

  observe(lamport: number): void {
    if (lamport > this.lamport) this.lamport = lamport
  }

  async renewIdentity(reason: 'forked' | 'damaged', document: string): Promise<void> {
    const before = this.identity.clientId
    this.identity = identities.drawIdentity(this.env.random, reason)
    if (reason === 'forked') this.events.emit('forked', { document, clientId: before })
    this.events.emit('identified', { identity: this.identity })
    await this.guarded((database) => this.writeIdentity(database, false))
  }

  async close(): Promise<void> {
    if (this.status === 'closed') return
    const wasOpen = this.status === 'open'
    this.status = 'closed'
    this.syncTimer?.[Symbol.dispose]()
    await this.scope.close()
    const database = this.database
    this.database = undefined
    if (database === undefined) return
    try {
      if (wasOpen) await this.writeIdentity(database, true)
    } finally {
      await database.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private opened(): Database {
    if (this.database === undefined) throw storeClosed(this.status)
    return this.database
  }

  private async reading<T>(read: (database: Database) => Promise<T>): Promise<T> {
    const database = this.opened()
    try {
      return await read(database)
    } catch (error) {
      throw this.unreadable(database, error)
    }
  }

  private async *walking<T>(read: (database: Database) => AsyncIterable<T>): AsyncGenerator<T> {
    const database = this.opened()
    try {
      yield* read(database)
    } catch (error) {
      throw this.unreadable(database, error)
    }
  }

  /** Damage below the rows: the database is opened again, which repairs it. */
  private unreadable(database: Database, error: unknown): unknown {
    if (hasCode(error, 'store.corrupt') && this.database === database && this.status === 'open')
      this.fail(error)
    return error
  }

  private async syncNow(): Promise<void> {
    const upTo = this.written
    // LevelDB's binding skips an empty batch, so one small row carries the sync
    const row = textRow('m!sync', String(this.env.clock.nowMs()))
    await this.guarded((database) => database.batch([row], { sync: true }))
    this.synced = Math.max(this.synced, upTo)
  }

  /** After a failed write LevelDB takes nothing until it is reopened, and what it holds in memory is not to be trusted. */
  private async guarded(work: (database: Database) => Promise<void>): Promise<void> {
    if (this.status !== 'open') throw storeClosed(this.status)
    const database = this.opened()
    try {
      await work(database)
    } catch (cause) {
      const error = new SkeinError('store.failed', 'a write to the store failed', {
        cause,
        fix: 'check the free space and the health of the disk',
      })
      if (this.database === database && this.status === 'open') this.fail(error)
      throw error
    }
  }

  private fail(error: SkeinError): void {
    this.status = 'failed'
    this.env.log.error('store failed', errorFields(error))
    this.events.emit('failed', { error })
    this.scope.spawn('reopen', (signal) => this.reopen(signal))
  }

  private async reopen(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; this.status === 'failed'; attempt++) {
      await sleep(this.env.clock, backoffMs(attempt, reopenBackoff, this.env.random), signal)
      try {
        await this.database?.close()
        this.database = undefined
        await this.start('failed')
        this.noteLoss()
        this.events.emit('identified', { identity: this.identity })
        this.events.emit('reopened', { identity: this.identity })
      } catch (error) {
        this.env.log.error('store cannot be reopened', { attempt, ...errorFields(error) })
      }
    }
  }

  private async readIdentity(database: Database): Promise<identities.IdentityRow | undefined | 'damaged'> {
    const [row] = await database.getMany([identityKey])
    if (row === undefined) {
      // A store that has rows but no identity lost it: its clientID must not be guessed
      for await (const _key of database.keys({ from: '', to: '~', limit: 1 })) return 'damaged'
      return undefined
    }
    const payload = openRow(identityKey, row)
    if (payload === undefined) return 'damaged'
    try {
      return identities.decodeIdentityRow(payload)
    } catch (error) {
      this.env.log.error('store identity unreadable', errorFields(error))
      return 'damaged'
    }
  }

  private async writeIdentity(database: Database, isClean: boolean): Promise<void> {
    const { clientId, incarnation } = this.identity
    const { witness, options } = this
    const payload = identities.encodeIdentityRow({
      clientId,
      incarnation,
      isClean,
      witness,
      boot: options.boot,
    })
    const rows: RowChange[] = [{ type: 'put', key: identityKey, value: sealRow(identityKey, payload) }]
    if (this.lamport !== this.storedLamport) rows.push(textRow(lamportKey, String(this.lamport)))
    await database.batch(rows, { sync: true })
  }

  private async quarantine(key: string, row: Uint8Array): Promise<undefined> {
    this.env.log.error('damaged row in the store', { key, sizeBytes: row.byteLength })
    this.env.metrics.count('store_corrupt_rows_total')
    if (this.status === 'open') {
      await this.guarded((database) =>
        database.batch([
          { type: 'put', key: `q!${key}`, value: row },
          { type: 'del', key },
        ]),
      )
    }
    // Bytes that are not UTF-8 read as this character, and are not found under it
    if (key.includes('\uFFFD') && this.nameless.size < namelessMax) this.nameless.add(key)
    this.noteLoss()
    this.events.emit('corrupt', { key, sizeBytes: row.byteLength })
    return undefined
  }
}

function textRow(key: string, value: string): RowChange {
  return { type: 'put', key, value: sealRow(key, new TextEncoder().encode(value)) }
}

const storeClosed = (status: string): SkeinError =>
  new SkeinError('store.failed', `the document store takes no writes now: it is ${status}`, {
    fix: 'check the disk of the home (free space, dmesg); it opens again by itself',
  })
