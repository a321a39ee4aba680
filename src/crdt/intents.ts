/**
 * Notes of what this device is about to do on its disk, safe from a power cut before it is done: what they are about is
 * not durable itself yet, and its index row is not written. Rows `h!<space>!<number>`, the text is their owner's.
 */
import type { SpaceId } from '../base/ids.ts'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import type { Store } from './store.ts'

export interface Intent {
  readonly number: number
  readonly text: string
}

export interface Intents {
  /** Survives a power cut once resolved. `done` go with it. @throws `store.failed`. */
  add(intent: Intent, done: readonly number[]): Promise<void>
  /** What they are about is durable. @throws `store.failed`. */
  remove(done: readonly number[]): Promise<void>
  /** All that stand, of earlier runs too. */
  read(): Promise<readonly Intent[]>
}

export function createIntents(store: Store, space: SpaceId): Intents {
  const prefix = `h!${space}!`
  const removals = (done: readonly number[]): readonly RowChange[] =>
    done.map((number) => ({ type: 'del', key: `${prefix}${number}` }))
  return {
    add({ number, text }, done) {
      const value = new TextEncoder().encode(text)
      const put: RowChange = { type: 'put', key: `${prefix}${number}`, value }
      return store.write([...removals(done), put], { isDurable: true })
    },
    remove: (done) => store.write(removals(done)),
    async read() {
      const intents: Intent[] = []
      for await (const [key, value] of store.scan(withPrefix(prefix)))
        intents.push({ number: Number(key.slice(prefix.length)), text: new TextDecoder().decode(value) })
      return intents
    },
  }
}
