/**
 * Contents that leave in parts (INCR): for each, how many parts its reader has taken. A property that is deleted is a
 * part that was read; the next one may be written.
 */
import { abortReason } from '../../base/clock.ts'
import type { Env } from '../../base/env.ts'
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { XConnection, XHappening } from './x11-connection.ts'

export interface Parts {
  /** Contents on their way. */
  readonly count: number
  /** Begins; what went to the same place before ends. */
  open(requestor: number, property: number): Transfer
  /** Waits until the reader has taken so many. @throws `peer.gone` | `deadline.exceeded` | the signal's reason. */
  taken(transfer: Transfer, count: number, signal: AbortSignal): Promise<void>
  close(transfer: Transfer): void
  observe(event: XHappening): void
}

export interface Transfer {
  readonly requestor: number
  readonly property: number
  taken: number
  isGone: boolean
  wake: () => void
}

export function createParts(env: Env, connection: XConnection): Parts {
  const transfers = new Map<number, Map<number, Transfer>>()
  const end = (transfer: Transfer): void => {
    transfer.isGone = true
    transfer.wake()
  }
  return {
    get count() {
      return transfers.values().reduce((sum, ofWindow) => sum + ofWindow.size, 0)
    },
    open(requestor, property) {
      const ofWindow = transfers.get(requestor) ?? new Map<number, Transfer>()
      transfers.set(requestor, ofWindow)
      const before = ofWindow.get(property)
      const transfer: Transfer = { requestor, property, taken: 0, isGone: false, wake: () => undefined }
      ofWindow.set(property, transfer)
      if (before !== undefined) end(before)
      return transfer
    },
    close(transfer) {
      const ofWindow = transfers.get(transfer.requestor)
      if (ofWindow?.get(transfer.property) !== transfer) return
      ofWindow.delete(transfer.property)
      if (ofWindow.size > 0) return
      transfers.delete(transfer.requestor)
      if (!transfer.isGone) void connection.watchWindow(transfer.requestor, false)
    },
    observe(event) {
      if (event.kind === 'destroyed') transfers.get(event.window)?.forEach(end)
      if (event.kind !== 'property' || event.isNew) return
      const transfer = transfers.get(event.window)?.get(event.property)
      if (transfer === undefined) return
      transfer.taken++
      transfer.wake()
    },
    taken: (transfer, count, signal) =>
      new Promise((resolve, reject) => {
        const settle = (end: () => void): void => {
          timer[Symbol.dispose]()
          signal.removeEventListener('abort', onAbort)
          transfer.wake = () => undefined
          end()
        }
        const onAbort = (): void => settle(() => reject(abortReason(signal)))
        const timer = env.clock.setTimer(limits.desktopPasteMs, () =>
          settle(() => reject(new SkeinError('deadline.exceeded', 'the program stopped reading'))),
        )
        signal.addEventListener('abort', onAbort, { once: true })
        transfer.wake = () => {
          if (transfer.isGone) settle(() => reject(new SkeinError('peer.gone', 'the program is gone')))
          else if (signal.aborted) onAbort()
          else if (transfer.taken >= count) settle(resolve)
        }
        transfer.wake()
      }),
  }
}
