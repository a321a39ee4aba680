/** `skein logs`: what the peer wrote down; also after it has ended, since that is when it is needed. */
import { hasCode, SkeinError } from '../../base/errors.ts'
import type { LogLine } from '../../peer/api.ts'
import { readLogTail } from '../../program/log-line.ts'
import { printableJson } from '../../base/printable.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { interruptible, withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'

const defaultLines = 50

export const logs: Command = {
  summary: 'what the peer wrote down',
  examples: [
    'skein logs',
    'skein logs -f',
    'skein logs --lines 500 --json | jq "select(.level == \\"error\\")"',
  ],
  options: [
    { notation: '-f, --follow', about: 'go on with each new line' },
    { notation: '-n, --lines <count>', about: `newest lines shown (default ${defaultLines})` },
  ],
  run: show,
}

async function show(call: Invocation): Promise<number> {
  const lines = parseCount(textOption(call, 'lines') ?? String(defaultLines))
  const follow = isSet(call, 'follow')
  const print = (line: LogLine): void => {
    call.terminal.json(line)
    if (!call.terminal.isJson) call.terminal.print(formatLine(line))
  }
  try {
    await withPeer(call, (client) =>
      interruptible(async (signal) => {
        for await (const line of client.stream('logs', { lines, follow }, signal)) print(line)
      }),
    )
  } catch (error) {
    if (hasCode(error, 'cancelled')) return exitCodes.ok // Ctrl-C is how following ends
    if (!hasCode(error, 'not.running') || follow) throw error
    readLogTail(call.home, lines).forEach(print)
    call.terminal.say('(the peer is not running: these are its last words)')
  }
  return exitCodes.ok
}

/** @throws `usage`. */
export function parseCount(text: string): number {
  const count = Number(text)
  if (/^\d{1,6}$/.test(text) && count <= 100_000) return count
  throw new SkeinError('usage', `"${text}" is no number of lines`, {
    fix: 'give a whole number, such as --lines 100',
  })
}

function formatLine(line: LogLine): string {
  const fields = Object.entries(line.fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : (printableJson(value) ?? '')}`,
  )
  return safe`${formatTime(line.atMs)} ${line.level.padEnd(5)} ${line.scope === '' ? '' : `${line.scope}: `}${line.message}${fields.join('')}`
}
