/** Whether this device's desktop takes part in the clipboard: a person may pause it, for a while or until further notice. */
import { boolean, decode, encode, integer, object, optional } from '../base/codec.ts'
import type { Env } from '../base/env.ts'
import { createEmitter } from '../base/events.ts'
import type { Keep } from '../base/keep.ts'

export interface ClipboardPause extends Disposable {
  readonly isPaused: boolean
  /** Wall clock when it ends by itself. */
  readonly untilMs: number | undefined
  pause(forMs: number | undefined): Promise<void>
  resume(): Promise<void>
  onChanged(listener: () => void): Disposable
}

export const clipboardPauseRecord = 'clipboard'
const shape = object({ isPaused: boolean, untilMs: optional(integer()) })
const recordBytes = 1024
/** A timer for longer would end at once. */
const timerMaxMs = 2 ** 31 - 1

/** @throws `store.*`, `codec.invalid`. */
export async function openClipboardPause(env: Env, keep: Keep): Promise<ClipboardPause> {
  const value = await keep.read(clipboardPauseRecord)
  let held = value === undefined ? { isPaused: false, untilMs: undefined } : decode(value, shape, recordBytes)
  const events = createEmitter<{ changed: undefined }>(env.log)
  let timer: Disposable | undefined
  const watch = (): void => {
    timer?.[Symbol.dispose]()
    timer = undefined
    if (!held.isPaused || held.untilMs === undefined) return
    const leftMs = held.untilMs - env.clock.nowMs()
    timer = env.clock.setTimer(Math.min(Math.max(0, leftMs), timerMaxMs), () => {
      if (held.untilMs !== undefined && env.clock.nowMs() < held.untilMs) return watch()
      held = { isPaused: false, untilMs: undefined }
      events.emit('changed', undefined)
    })
  }
  const set = async (next: typeof held): Promise<void> => {
    await keep.write(clipboardPauseRecord, encode(next))
    held = next
    watch()
    events.emit('changed', undefined)
  }
  watch()
  return {
    get isPaused() {
      return held.isPaused
    },
    get untilMs() {
      return held.untilMs
    },
    pause: (forMs) =>
      set({ isPaused: true, untilMs: forMs === undefined ? undefined : env.clock.nowMs() + forMs }),
    resume: () => set({ isPaused: false, untilMs: undefined }),
    onChanged: (listener) => events.on('changed', listener),
    [Symbol.dispose]: () => timer?.[Symbol.dispose](),
  }
}
