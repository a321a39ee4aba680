/**
 * Which directories of a space may show what its folder has not put on the disk yet. A directory is noted in the batch
 * that changes it, and the note goes once the folder has settled: so a folder that was stopped at rest need not compare
 * every directory of the document with the disk when it opens again, only those that are noted. Rows, `<s>` the space:
 *   `g!<s>!<directory>`   noted
 *   `j!<s>`               what the folder was when it last settled; absent, or another one: nothing is known
 */
import type { SpaceId } from '../base/ids.ts'
import { type RowChange, withPrefix } from './database.ts'
import { isNodeId, type NodeId } from './node-id.ts'
import type { Store } from './store.ts'

const noteKey = (space: SpaceId, id: NodeId): string => `g!${space}!${id}`
const tokenKey = (space: SpaceId): string => `j!${space}`

/** Rows of one batch, and what is to be done once it is stored. */
export interface UnseenBatch {
  readonly rows: readonly RowChange[]
  stored(): void
}

export class Unseen {
  /** Stored notes, with when they were stored last. */
  private notes = new Map<NodeId, number>()
  /** In batches that are being made, or on their way. */
  private readonly coming = new Set<readonly NodeId[]>()
  private token: string | undefined
  private stamp = 0
  private readonly store: Store
  private readonly space: SpaceId

  constructor(store: Store, space: SpaceId) {
    this.store = store
    this.space = space
  }

  async open(): Promise<void> {
    const prefix = `g!${this.space}!`
    const notes = new Map<NodeId, number>()
    for await (const key of this.store.keys(withPrefix(prefix))) {
      const id = key.slice(prefix.length)
      if (isNodeId(id)) notes.set(id, 0)
    }
    const token = await this.store.get(tokenKey(this.space))
    this.token = token === undefined ? undefined : new TextDecoder().decode(token)
    this.notes = notes
    this.coming.clear()
  }

  /** For the batch that changes these directories; `stored` also when it failed: noted once too often does no harm. */
  begin(directories: Iterable<NodeId>): UnseenBatch {
    const ids = [...new Set(directories)]
    this.coming.add(ids)
    return {
      rows: ids.map((id) => ({ type: 'put', key: noteKey(this.space, id), value: new Uint8Array() })),
      stored: () => {
        if (!this.coming.delete(ids)) return
        this.stamp++
        for (const id of ids) this.notes.set(id, this.stamp)
      },
    }
  }

  /** The directories noted, when the folder last settled as `token`; undefined when it did not, or as something else. */
  since(token: string): readonly NodeId[] | undefined {
    return this.token === token ? [...this.notes.keys()] : undefined
  }

  isSettled(token: string): boolean {
    return this.token === token && this.notes.size === 0
  }

  /**
   * Drops the notes of now. @returns `rows` for when the batch is made: by then there may be newer notes, which stay; and what
   * is to be done once it is stored.
   */
  settle(token: string): { rows(): readonly RowChange[]; stored(): void } {
    const seen = new Map(this.notes)
    const dropped: NodeId[] = []
    return {
      rows: () => {
        const coming = new Set([...this.coming].flat())
        for (const [id, stamp] of seen) if (this.notes.get(id) === stamp && !coming.has(id)) dropped.push(id)
        const rows: RowChange[] = dropped.map((id) => ({ type: 'del', key: noteKey(this.space, id) }))
        if (this.token !== token)
          rows.push({ type: 'put', key: tokenKey(this.space), value: new TextEncoder().encode(token) })
        return rows
      },
      stored: () => {
        for (const id of dropped) if (this.notes.get(id) === seen.get(id)) this.notes.delete(id)
        this.token = token
      },
    }
  }
}

/** All keys of it, for whoever lets go of what is known of a disk. */
export async function* unseenKeys(store: Store, space: SpaceId): AsyncGenerator<string> {
  yield* store.keys(withPrefix(`g!${space}!`))
  yield tokenKey(space)
}
