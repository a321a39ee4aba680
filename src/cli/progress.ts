/**
 * Progress of a sync while a person waits: redrawn in place on a terminal, plain lines now and then elsewhere. Goes to
 * standard error, like all talk.
 */
import type { SpaceStatus, SyncReport } from '../peer/api-spaces.ts'
import { formatState, formatTransfer } from './space-lines.ts'
import { safe } from './terminal.ts'

export interface Progress {
  show(report: SyncReport): void
  /** Takes what was drawn away. */
  end(): void
}

type Output = Pick<NodeJS.WriteStream, 'write' | 'columns' | 'isTTY'>

const plainEveryMs = 2_000

/** @param nowMs of any clock. */
export function createProgress(output: Output, nowMs: () => number): Progress {
  const isDrawn = Boolean(output.isTTY) && process.env['TERM'] !== 'dumb'
  return isDrawn ? createDrawn(output) : createPlain(output, nowMs)
}

function createDrawn(output: Output): Progress {
  let height = 0
  const clear = (): string => (height === 0 ? '' : `\u001b[${height}A\u001b[J`)
  return {
    show({ spaces, busyDevices = [] }) {
      const lines = [...spaces.map(formatLine), ...formatBusy(busyDevices)].map((line) =>
        fit(line, output.columns),
      )
      output.write(clear() + lines.map((line) => `${line}\n`).join(''))
      height = lines.length
    },
    end() {
      output.write(clear())
      height = 0
    },
  }
}

/** A line for each folder whose state changed, and for one that goes on every now and then. */
function createPlain(output: Output, nowMs: () => number): Progress {
  const told = new Map<string, { readonly state: string; readonly line: string; readonly atMs: number }>()
  let toldBusy = ''
  return {
    show({ spaces, busyDevices = [] }) {
      const [busy = ''] = formatBusy(busyDevices)
      if (busy !== toldBusy && busy !== '') output.write(`${busy}\n`)
      toldBusy = busy
      for (const space of spaces) {
        const line = formatLine(space)
        const before = told.get(space.id)
        const isDue =
          before === undefined || before.state !== space.state || nowMs() - before.atMs >= plainEveryMs
        if (!isDue || before?.line === line) continue
        told.set(space.id, { state: space.state, line, atMs: nowMs() })
        output.write(`${line}\n`)
      }
    },
    end: () => undefined,
  }
}

function formatLine(space: SpaceStatus): string {
  const { name, transfer, state, reason } = space
  const more =
    transfer !== undefined
      ? formatTransfer(transfer)
      : state === 'syncing'
        ? 'looking at files'
        : state === 'paused'
          ? ''
          : (reason ?? '')
  return safe`${name}  ${formatState(space)}  ${more}`.trimEnd()
}

export const formatBusy = (names: readonly string[]): readonly string[] =>
  names.length === 0 ? [] : [safe`still at work: ${names.join(', ')}`]

/** A line that wraps could not be drawn over. A terminal that was never told its size says 0. */
const fit = (line: string, columns = 0): string =>
  columns === 0 || line.length < columns ? line : `${line.slice(0, columns - 2).toWellFormed()}…`
