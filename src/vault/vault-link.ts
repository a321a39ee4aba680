/**
 * Keeps one space and one vault of it equal while the storage device is connected: reads what other devices wrote, writes
 * what is missing there, one writer at a time, and follows edits. Ends with its channel; the next one starts anew.
 */
import { type Clock, sleep } from '../base/clock.ts'
import type { Env } from '../base/env.ts'
import { asSkeinError, hasCode, type SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import type { BlobHash } from '../blobs/hash.ts'
import type { AskSource } from '../blobs/wanted.ts'
import type { GoneDays } from './gone-days.ts'
import type { SealedSpace } from './sealed-space.ts'
import { lengthOf } from './catalogue.ts'
import {
  checkBlocks,
  rewriteVault,
  type UploadParts,
  type UploadProgress,
  type UploadResult,
  uploadSpace,
} from './vault-upload.ts'
import { VaultReader, type VaultReaderParts } from './vault-reader.ts'

export interface VaultLinkStatus {
  readonly state: 'reading' | 'sealing' | 'complete' | 'incomplete' | 'waiting' | 'paused' | 'problem'
  /** Contents that the tree shows, and how many of them are held there. */
  readonly fileCount: number
  readonly heldCount: number
  readonly sizeBytes: number
  readonly progress: UploadProgress | undefined
  readonly problem: SkeinError | undefined
  /** How often it gave back what it was not given. */
  readonly damageCount: number
}

export interface VaultLinkParts extends VaultReaderParts {
  readonly space: SealedSpace
  readonly goneDays: GoneDays
  /** Whether this device has the folder open: only then does it know what to bring. */
  readonly mayWrite: () => boolean
  readonly onStatus: (status: VaultLinkStatus) => void
  /** More is known of what this vault holds: contents that nobody had may be there. */
  readonly onRead: () => void
  /** After `goneDays` has counted. */
  readonly onCounted: () => Promise<void>
}

export interface VaultLink {
  readonly ask: AskSource
  readonly status: VaultLinkStatus
  /** Something changed here: looked at soon. */
  changed(): void
  /** Runs until the channel ends or the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>
}

/** Edits that come together are sealed together. */
const quietMs = 300
/** Between two looks at what others wrote. */
const lookMs = 3_000
/** After a problem that a person has to mend, or while another device writes. */
const patienceMs = 15_000
/** While edits go on and on, looking at everything takes at most one part in so many of the time. */
const restFactor = 5

export function createVaultLink(env: Env, parts: VaultLinkParts): VaultLink {
  return new SpaceVaultLink(env, parts)
}

class SpaceVaultLink implements VaultLink {
  readonly ask: AskSource
  status: VaultLinkStatus = {
    state: 'reading',
    fileCount: 0,
    heldCount: 0,
    sizeBytes: 0,
    progress: undefined,
    problem: undefined,
    damageCount: 0,
  }
  private readonly env: Env
  private readonly parts: VaultLinkParts
  private readonly reader: VaultReader
  private isDirty = true
  private isChecked = false
  private lookMs = 0
  private live: ReadonlySet<BlobHash> = new Set()
  private wake: (() => void) | undefined

  constructor(env: Env, parts: VaultLinkParts) {
    this.env = env
    this.parts = parts
    this.reader = new VaultReader(env, parts)
    this.ask = this.reader.ask()
  }

  changed(): void {
    this.isDirty = true
    this.wake?.()
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let restMs = lookMs
      try {
        restMs = await this.round(signal)
      } catch (error) {
        if (signal.aborted || hasCode(error, 'peer.gone', 'channel.closed', 'channel.aborted')) return
        this.isDirty = true
        restMs = quietMs
        if (!hasCode(error, 'vault.overtaken')) {
          this.fail(error)
          restMs = patienceMs
        }
      }
      const { clock } = this.env
      const least = Math.max(quietMs, this.lookMs * restFactor)
      await this.rest(clock, { leastMs: least, mostMs: Math.max(restMs, least) }, signal)
    }
  }

  /** @returns how long to rest if nothing happens. */
  private async round(signal: AbortSignal): Promise<number> {
    const { client, space } = this.parts
    const isNew = await this.reader.catchUp((updates) => space.apply(updates), signal)
    if (isNew) {
      this.isDirty = true
      this.parts.onRead()
    }
    if (!this.isChecked) {
      await checkBlocks(this.uploadParts(signal))
      this.isChecked = true
    }
    if (!this.isDirty) return lookMs
    if (!this.parts.mayWrite()) {
      this.tell({ state: 'paused', problem: undefined, progress: undefined })
      return patienceMs
    }
    if (!(await client.lead(true, signal))) {
      this.tell({ state: 'waiting', problem: undefined, progress: undefined })
      return lookMs
    }
    try {
      this.isDirty = false
      return await this.write(signal)
    } finally {
      await client.lead(false, signal).catch(() => undefined) // because: the end of the channel gives it up too
    }
  }

  private async write(signal: AbortSignal): Promise<number> {
    const { reader, parts } = this
    await reader.catchUp((updates) => parts.space.apply(updates), signal)
    this.tell({ state: 'sealing', problem: undefined })
    const upload = this.uploadParts(signal)
    const result = await uploadSpace(this.env.clock, upload)
    this.live = result.live
    this.lookMs = result.lookMs
    await this.clear(upload, result)
    this.isDirty ||= result.missingCount > 0
    this.tell({
      state: result.missingCount === 0 ? 'complete' : 'incomplete',
      fileCount: result.live.size,
      heldCount: result.live.size - result.missingCount,
      sizeBytes: result.sizeBytes,
      progress: undefined,
      problem: undefined,
    })
    return result.missingCount === 0 ? lookMs : patienceMs
  }

  /** Writes the vault anew when it is damaged, too long, or holds much that nobody wants any more. */
  private async clear(upload: UploadParts, { live }: UploadResult): Promise<void> {
    const { catalogue } = this.reader
    const gone = [...catalogue.contents.keys()].filter((hash) => !live.has(hash))
    const due = this.parts.goneDays.due(gone)
    if (this.parts.goneDays.isChanged) await this.parts.onCounted()
    const isLong =
      catalogue.nextNumber > limits.vaultRecords + 4 * (catalogue.contents.size / contentsPerRecord)
    if (!catalogue.isBroken && !isLong && !isWorthIt(catalogue, due)) return
    this.env.log.info('a vault is written anew', {
      deviceId: this.parts.device,
      isBroken: catalogue.isBroken,
      recordCount: catalogue.nextNumber,
      dueCount: due.size,
    })
    await rewriteVault(upload, (hash) => !due.has(hash))
  }

  private uploadParts(signal: AbortSignal): UploadParts {
    const { client, sealer, space } = this.parts
    const onProgress = (progress: UploadProgress): void =>
      this.tell({
        progress,
        fileCount: Math.max(this.live.size, progress.totalFiles),
        heldCount: this.reader.catalogue.contents.size,
      })
    return { client, sealer, space, reader: this.reader, signal, onProgress }
  }

  private fail(error: unknown): void {
    const known = asSkeinError(error)
    this.env.log.warn('a vault could not be kept up', { deviceId: this.parts.device, ...errorFields(known) })
    this.tell({ state: 'problem', problem: known, progress: undefined })
  }

  private tell(change: Partial<VaultLinkStatus>): void {
    this.status = { ...this.status, ...change, damageCount: this.reader.damageCount }
    this.parts.onStatus(this.status)
  }

  private async rest(
    clock: Clock,
    { leastMs, mostMs }: { readonly leastMs: number; readonly mostMs: number },
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await sleep(clock, leastMs, signal)
      if (this.isDirty && this.status.state === 'complete') return
      const woken = Promise.withResolvers<void>()
      this.wake = woken.resolve
      const timer = clock.setTimer(mostMs - leastMs, woken.resolve)
      const onAbort = (): void => woken.resolve()
      signal.addEventListener('abort', onAbort, { once: true })
      await woken.promise
      signal.removeEventListener('abort', onAbort)
      timer[Symbol.dispose]()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.wake = undefined
    }
  }
}

const contentsPerRecord = 1_000
/** Room is given back when at least so much, or a tenth of all, is not wanted any more. */
const worthBytes = 64 * 1024 * 1024

function isWorthIt({ contents }: VaultReader['catalogue'], due: ReadonlySet<BlobHash>): boolean {
  if (due.size === 0) return false
  let [allBytes, dueBytes] = [0, 0]
  for (const [hash, { pieces }] of contents) {
    const bytes = lengthOf(pieces)
    allBytes += bytes
    if (due.has(hash)) dueBytes += bytes
  }
  return dueBytes >= worthBytes || dueBytes * 10 >= allBytes
}
