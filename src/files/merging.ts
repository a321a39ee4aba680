/**
 * Merges concurrent versions of a file into one, where that needs no person. Every device that has all sides and the base
 * they come from does it; the merged version is the same everywhere, so several that do it at once agree. While one is
 * being tried its places on the disk are left alone; what cannot be merged appears as conflict copies. All sides stay in
 * versions.
 */
import type { Env } from '../base/env.ts'
import { hasCode, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { errorFields } from '../base/log.ts'
import { createScope, type Scope } from '../base/scope.ts'
import type { BlobFile } from '../blobs/download.ts'
import { type BlobHash, hashOf } from '../blobs/hash.ts'
import type { OpenBlob } from '../blobs/server.ts'
import type { BaseKeep } from './base-keep.ts'
import { joinPath } from './filesystem.ts'
import type { Conflict, FolderTree } from './folder-tree.ts'
import type { MergeResult } from './merge-contents.ts'
import { mergeKindOf } from './merge-policy.ts'
import type { MergeWorkers } from './merge-workers.ts'
import type { FetchContent } from './transfers.ts'
import type { Versions } from './versions.ts'

export interface Merging extends AsyncDisposable {
  /** Looks at nodes with conflict copies; those worth a try are held from now on. */
  consider(nodeIds: Iterable<string>): Promise<void>
  /** A merge of this node is being tried: its places stay as they are until that is settled. */
  holds(nodeId: string): boolean
  /** A device came within reach: what lacked its base is tried again. */
  retry(): void
  readonly pending: number
}

export interface MergingParts {
  readonly tree: FolderTree
  readonly keep: BaseKeep
  readonly workers: MergeWorkers
  readonly versions: Versions
  readonly fetch: FetchContent
  /** Content of this folder, read where it lies. */
  open(hash: BlobHash): Promise<OpenBlob | undefined>
  /** Disk path of a directory. */
  pathOf(nodeId: string): string | undefined
  /** The directory of a node that was held is to be looked at again. */
  onSettled(parentIds: readonly string[]): void
}

/** 'merged': written, or somebody was faster. 'never': these versions cannot be merged. 'later': something is missing now. */
type Outcome = 'merged' | 'never' | 'later'

interface Tried {
  readonly versions: string
  readonly outcome: Outcome
  readonly parentId: string
}

/** Nodes whose outcome is remembered; a forgotten one is tried once more. */
const triedMax = 10_000
const attemptMs = 10_000
const atOnce = 4

export function createMerging(env: Env, parts: MergingParts): Merging {
  return new FolderMerging(env, parts)
}

class FolderMerging implements Merging {
  private readonly env: Env
  private readonly parts: MergingParts
  private readonly scope: Scope
  private readonly tried = new Map<string, Tried>()
  private readonly held = new Map<string, Conflict>()
  private readonly queue: Conflict[] = []
  private running = 0

  constructor(env: Env, parts: MergingParts) {
    this.env = env
    this.parts = parts
    this.scope = createScope(env, 'merging')
  }

  get pending(): number {
    return this.held.size
  }

  holds(nodeId: string): boolean {
    return this.held.has(nodeId)
  }

  async consider(nodeIds: Iterable<string>): Promise<void> {
    for (const nodeId of new Set(nodeIds)) {
      if (this.held.has(nodeId)) continue
      const conflict = await this.parts.tree.conflict(nodeId)
      if (conflict === undefined || this.tried.get(nodeId)?.versions === versionsText(conflict)) continue
      if (!this.isWorthIt(conflict)) continue
      this.held.set(nodeId, conflict)
      this.queue.push(conflict)
    }
    this.pump()
  }

  retry(): void {
    const waiting = [...this.tried].filter(([, { outcome }]) => outcome === 'later')
    for (const [nodeId] of waiting) this.tried.delete(nodeId)
    if (waiting.length > 0) this.parts.onSettled([...new Set(waiting.map(([, { parentId }]) => parentId))])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope.close()
  }

  private isWorthIt({ versions, name, parentId }: Conflict): boolean {
    const isSmall = versions.every((version) => version.size <= limits.mergeBytes)
    const path = joinPath(this.parts.pathOf(parentId) ?? '', name)
    return isSmall && versions.length <= limits.mergeSides && mergeKindOf(path) !== 'never'
  }

  private pump(): void {
    while (this.running < atOnce && !this.scope.signal.aborted) {
      const conflict = this.queue.shift()
      if (conflict === undefined) return
      this.running++
      this.scope.spawn('merge', async (signal) => {
        const outcome = await this.attempt(conflict, signal)
        this.running--
        signal.throwIfAborted()
        this.settle(conflict, outcome)
        this.pump()
      })
    }
  }

  private settle(conflict: Conflict, outcome: Outcome): void {
    const { nodeId, parentId } = conflict
    this.tried.delete(nodeId)
    this.tried.set(nodeId, { versions: versionsText(conflict), outcome, parentId })
    const [oldest] = this.tried.size > triedMax ? this.tried.keys() : []
    if (oldest !== undefined) this.tried.delete(oldest)
    this.held.delete(nodeId)
    this.parts.onSettled([parentId])
  }

  private async attempt(conflict: Conflict, signal: AbortSignal): Promise<Outcome> {
    const deadline = new AbortController()
    const end = (): void => deadline.abort(new SkeinError('cancelled', 'the merge took too long'))
    const timer = this.env.clock.setTimer(attemptMs, end)
    signal.addEventListener('abort', end, { once: true })
    try {
      return await this.merge(conflict, deadline.signal)
    } catch (error) {
      if (hasCode(error, 'blob.missing', 'blob.corrupt', 'limit.exceeded', 'cancelled')) return 'later'
      this.env.log.warn('a merge failed; both versions are kept', errorFields(error))
      return 'later'
    } finally {
      timer[Symbol.dispose]()
      signal.removeEventListener('abort', end)
    }
  }

  /** @throws `blob.missing` and others of the exchange for a content that is nowhere in reach. */
  private async merge(conflict: Conflict, signal: AbortSignal): Promise<Outcome> {
    const { keep, workers, versions, tree } = this.parts
    const path = joinPath(this.parts.pathOf(conflict.parentId) ?? '', conflict.name)
    const kind = mergeKindOf(path)
    const baseHash = await this.baseOf(conflict)
    if (kind === 'never' || baseHash === undefined) return 'later'
    const base = await this.read(baseHash, undefined, signal)
    const sides = new Map<BlobHash, Uint8Array>()
    for (const { hash, size } of conflict.versions)
      if (!sides.has(hash)) sides.set(hash, await this.read(hash, size, signal))
    const result: MergeResult = await workers.merge({ base, sides: [...sides.values()], kind })
    if (result.kind !== 'merged') return 'never'
    const { bytes } = result
    const hash = hashOf(bytes)
    // Sides that stand on this disk come to versions when they are replaced; the others only here
    for (const [side, content] of sides) {
      const isHere = (await tree.rowsWithHash(side)).length > 0 || (await versions.find(side)).length > 0
      if (!isHere && side !== hash) await versions.keepBytes(path, content, side)
    }
    // Safe on the disk before any device hears of it
    if (!(await keep.add([{ hash, bytes }], [])) || !(await keep.sync())) return 'later'
    const data = {
      kind: 'file',
      hash,
      size: bytes.byteLength,
      mtimeNs: conflict.versions.reduce((latest, { mtimeNs }) => (mtimeNs > latest ? mtimeNs : latest), 0n),
      executable: conflict.versions.some(({ executable }) => executable),
      target: '',
    } as const
    const merged = conflict.versions.map(({ version }) => version)
    await tree.commit([{ kind: 'merge', nodeId: conflict.nodeId, sides: merged, baseHash, data }], [])
    return 'merged'
  }

  /**
   * What all sides were edited from: told by their records where they agree, so the same on every device; else the
   * content of the version that they have in common, as far as this device has seen it.
   */
  private async baseOf({
    nodeId,
    parentId,
    name,
    versions,
    common,
  }: Conflict): Promise<BlobHash | undefined> {
    const [first, ...others] = versions
    const told = first?.baseHash
    if (told !== undefined && others.every(({ baseHash }) => baseHash === told)) return told
    if (common === '' || versions.some(({ version }) => version === common)) return undefined
    const row = await this.parts.tree.row(parentId, name)
    if (row?.nodeId === nodeId && row.version === common) return row.hash
    return await this.parts.keep.contentOf(nodeId, common)
  }

  private async read(hash: BlobHash, size: number | undefined, signal: AbortSignal): Promise<Uint8Array> {
    const kept = await this.parts.keep.read(hash)
    if (kept !== undefined) return kept
    const blob = await this.parts.open(hash)
    if (blob !== undefined && blob.sizeBytes <= limits.mergeBytes) {
      await using open = blob
      const bytes = new Uint8Array(open.sizeBytes)
      const got = await open.read(bytes, 0)
      if (got === bytes.byteLength && hashOf(bytes) === hash) return bytes
    } else await blob?.[Symbol.asyncDispose]()
    const file = createMemoryFile()
    const length = size === undefined ? { sizeBytes: limits.mergeBytes, isAtMost: true } : { sizeBytes: size }
    await this.parts.fetch({ hash, ...length, signal }, file)
    const bytes = file.bytes()
    await this.parts.keep.add([{ hash, bytes }], [])
    return bytes
  }
}

const versionsText = ({ versions }: Conflict): string =>
  versions
    .map(({ version, hash }) => `${version} ${hash}`)
    .sort()
    .join()

/** Takes a download that is at most a merge's size. */
function createMemoryFile(): BlobFile & { bytes(): Uint8Array } {
  let content = new Uint8Array(0)
  return {
    bytes: () => content,
    stat: async () => ({ size: content.byteLength }),
    async read(into, position) {
      const part = content.subarray(position, position + into.byteLength)
      into.set(part)
      return part.byteLength
    },
    async write(bytes, position) {
      const grown = new Uint8Array(Math.max(content.byteLength, position + bytes.byteLength))
      grown.set(content)
      grown.set(bytes, position)
      content = grown
    },
    async truncate(sizeBytes) {
      content = content.slice(0, sizeBytes)
    },
  }
}
