/**
 * How long this device has known each clipboard item, in days of its own, so that items expire without anybody's clock
 * being believed: a day counts when the own clock shows another date than before and half a day has really passed, or the
 * program was started anew. A clock that jumps by years is one day; one that is wrong elsewhere is none.
 *   a!day     count of days | last date (days since 1970), as text
 *   a!<item>  the count when the item was first seen
 */
import type { Env } from '../base/env.ts'
import type { RowChange } from './database.ts'
import { withPrefix } from './database.ts'
import type { Store } from './store.ts'

export interface ClipboardAges {
  /** These are here: those seen for the first time begin to age, what is not among them is forgotten. */
  keep(ids: ReadonlySet<string>): Promise<void>
  /** Looks at the clock; to be called now and then. */
  look(): Promise<void>
  /** Days of this device since the item was first seen here. */
  daysOf(id: string): number
}

const dayMs = 86_400_000
const leastMs = dayMs / 2
const prefix = 'a!'
const dayKey = 'a!day'
const rowsAtOnce = 1_000

/** @throws `store.failed`. */
export async function openClipboardAges(env: Env, store: Store): Promise<ClipboardAges> {
  const seen = new Map<string, number>()
  let today = 0
  let date = Number.NaN
  for await (const [key, value] of store.scan(withPrefix(prefix))) {
    const text = new TextDecoder().decode(value)
    if (key === dayKey) [today = 0, date = Number.NaN] = text.split(' ').map(Number)
    else seen.set(key.slice(prefix.length), Number(text))
  }
  if (!Number.isSafeInteger(today)) today = 0
  let countedMs = Number.NEGATIVE_INFINITY
  const look = async (): Promise<void> => {
    const now = Math.floor(env.clock.nowMs() / dayMs)
    if (now === date || env.clock.monotonicMs() - countedMs < leastMs) return
    // The first look of all begins to count
    if (!Number.isNaN(date)) today++
    date = now
    countedMs = env.clock.monotonicMs()
    await store.write([textRow(dayKey, `${today} ${date}`)])
  }
  await look()
  return {
    look,
    daysOf: (id) => today - (seen.get(id) ?? today),
    async keep(ids) {
      const rows: RowChange[] = []
      for (const id of ids) if (!seen.has(id)) rows.push(textRow(prefix + id, String(today)))
      for (const id of seen.keys()) if (!ids.has(id)) rows.push({ type: 'del', key: prefix + id })
      for (const { type, key } of rows) {
        if (type === 'put') seen.set(key.slice(prefix.length), today)
        else seen.delete(key.slice(prefix.length))
      }
      for (let from = 0; from < rows.length; from += rowsAtOnce)
        await store.write(rows.slice(from, from + rowsAtOnce))
    },
  }
}

const textRow = (key: string, text: string): RowChange => ({
  type: 'put',
  key,
  value: new TextEncoder().encode(text),
})
