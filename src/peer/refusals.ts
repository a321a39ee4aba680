/** What other devices tried to write without a right to, in the audit log: once a minute for each device and space. */
import type { Env } from '../base/env.ts'
import { errorFields } from '../base/log.ts'
import { spaceOfDocument } from './document-access.ts'
import type { Trust } from './trust.ts'

const quietMs = 60_000
/** Pairs remembered; one that is forgotten is noted once more. */
const pairsMax = 1_000

/** @param note writes into the audit log. */
export function createRefusalNotes(
  env: Env,
  note: Trust['note'],
): (deviceId: string, document: string) => void {
  const notedMs = new Map<string, number>()
  return (deviceId, document) => {
    const what = spaceOfDocument(document) ?? document
    const key = `${deviceId} ${what}`
    const nowMs = env.clock.monotonicMs()
    if (nowMs - (notedMs.get(key) ?? -Infinity) < quietMs) return
    if (notedMs.size >= pairsMax) notedMs.clear()
    notedMs.set(key, nowMs)
    note('denied', deviceId, { verb: 'doc.write', object: what }).catch((error: unknown) =>
      env.log.error('audit not written', errorFields(error)),
    )
  }
}
