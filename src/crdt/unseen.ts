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

export class Unseen {
  /** Stored notes, with when they were stored last. */
  private notes = new Map<NodeId, number>()
  /** In the batch that is being made, or on its way. */
  private coming: readonly NodeId[] = []
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
    this.coming = []
  }

  /** Rows for the batch that changes these directories. */
  rows(directories: Iterable<NodeId>): readonly RowChange[] {
    this.coming = [...this.coming, ...directories]
    return [...new Set(directories)].map((id) => ({
      type: 'put',
      key: noteKey(this.space, id),
      value: new Uint8Array(),
    }))
  }

  /** That batch is in the store. */
  stored(): void {
    this.stamp++
    for (const id of this.coming) this.notes.set(id, this.stamp)
    this.coming = []
  }

  /** The directories noted, when the folder last settled as `token`; undefined when it did not, or as something else. */
  since(token: string): readonly NodeId[] | undefined {
    return this.token === token ? [...this.notes.keys()] : undefined
  }

  isSettled(token: string): boolean {
    return this.token === token && this.notes.size === 0
  }

  /** @returns what makes the rows once the batch is made: by then there may be newer notes, which stay. */
  settle(token: string): () => readonly RowChange[] {
    const seen = new Map(this.notes)
    return () => {
      const coming = new Set(this.coming)
      const rows: RowChange[] = []
      for (const [id, stamp] of seen) {
        if (this.notes.get(id) !== stamp || coming.has(id)) continue
        this.notes.delete(id)
        rows.push({ type: 'del', key: noteKey(this.space, id) })
      }
      if (this.token !== token)
        rows.push({ type: 'put', key: tokenKey(this.space), value: new TextEncoder().encode(token) })
      this.token = token
      return rows
    }
  }
}

/** All keys of it, for whoever lets go of what is known of a disk. */
export async function* unseenKeys(store: Store, space: SpaceId): AsyncGenerator<string> {
  yield* store.keys(withPrefix(`g!${space}!`))
  yield tokenKey(space)
}
