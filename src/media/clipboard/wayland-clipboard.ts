/**
 * The clipboard of a Wayland session, through wl-clipboard: `wl-paste --watch` tells of changes, which needs a compositor
 * with data-control. `wl-copy` can offer one format only (a text under all its names): of several the most useful one is
 * offered and the others are not, so pasting elsewhere gets less than was copied.
 */
import type { Env } from '../../base/env.ts'
import { limits } from '../../base/limits.ts'
import { createProgramClipboard, type ClipboardDriver } from './program-clipboard.ts'
import type { CopiedFormat, DesktopClipboard } from './port.ts'
import type { Programs, RunOptions } from './programs.ts'
import { chooseTargets } from './x11-formats.ts'

type Variables = Readonly<Record<string, string | undefined>>

/** Of several formats the first in this order is offered. */
const usefulness = [
  'text/uri-list',
  'text/plain',
  'image/png',
  'text/html',
  'text/rtf',
  'x-special/gnome-copied-files',
]
const listBytes = 64 * 1024
const lineBytes = 1024
/** Long enough for the compositor to accept or to refuse. */
const startMs = 250

export function createWaylandClipboard(env: Env, programs: Programs, variables: Variables): DesktopClipboard {
  return createProgramClipboard(env, createWaylandDriver(env, programs, variables))
}

export function createWaylandDriver(env: Env, programs: Programs, variables: Variables): ClipboardDriver {
  /** Our last offer, to be recognised when it is taken back. */
  let written: { readonly type: string; readonly content: Uint8Array } | undefined
  const run = (command: string, args: readonly string[], signal: AbortSignal): RunOptions => ({
    command,
    args,
    variables,
    maxBytes: limits.desktopFormatBytes,
    signal,
  })
  const read = (format: string, signal: AbortSignal): Promise<Uint8Array> =>
    programs.run(run('wl-paste', ['--no-newline', '--type', format], signal))
  return {
    name: 'wayland',
    fix: 'log in to the desktop; the compositor must support data-control (GNOME 49, KDE, Sway and others do)',
    async follow(listener, signal) {
      // The command gets the content as its input, and leaves it unread. Where something is copied already it is run for
      // that at once, which is no change; a compositor that does not support this ends it at once
      let isReady = false
      const timer = env.clock.setTimer(startMs, () => {
        isReady = true
        listener.ready()
      })
      try {
        const options = { ...run('wl-paste', ['--watch', 'echo', 'changed'], signal), maxBytes: lineBytes }
        return await programs.follow(options, () => isReady && listener.changed())
      } finally {
        timer[Symbol.dispose]()
      }
    },
    async list(signal) {
      try {
        const options = { ...run('wl-paste', ['--list-types'], signal), maxBytes: listBytes }
        return parseTypes(await programs.run(options))
      } catch (error) {
        if (signal.aborted) throw error
        return [] // because: it fails where nothing is copied, and says so only in words
      }
    },
    choose: (listed) => chooseTargets(listed).map(({ mime, target }) => ({ mime, format: target })),
    read,
    select: (mimes) => usefulness.filter((mime) => mimes.includes(mime)).slice(0, 1),
    async write([format]: readonly CopiedFormat[], signal) {
      if (format === undefined) return
      const type = format.mime === 'text/plain' ? 'text/plain;charset=utf-8' : format.mime
      // Once it has taken the clipboard it goes on behind our back, until another program copies
      const options = { ...run('wl-copy', ['--type', type], signal), isLeaving: true, input: format.content }
      await programs.run(options)
      written = { type, content: format.content }
    },
    async withdraw(signal) {
      const own = written
      written = undefined
      if (own === undefined) return
      const found = await read(own.type, signal).catch(() => undefined) // because: then it stands no more
      if (found === undefined || Buffer.compare(found, own.content) !== 0) return
      await programs.run({ ...run('wl-copy', ['--clear'], signal), isLeaving: true })
    },
  }
}

/** One name a line. */
export function parseTypes(output: Uint8Array): readonly string[] {
  return new TextDecoder()
    .decode(output)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
