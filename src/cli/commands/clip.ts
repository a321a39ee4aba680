/** `skein clip`: reads and writes the clipboard that all devices share. Text comes by standard input or as a word. */
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSize } from '../../base/quantities.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'
import { parseCount } from './logs.ts'

const defaultItems = 20
const previewLength = 60

export const clip: Command = {
  summary: 'the shared clipboard',
  examples: ['echo hello | skein clip set', 'skein clip get', 'skein clip history'],
  verbs: {
    get: {
      summary: 'print the newest item as it is',
      examples: ['skein clip get', 'skein clip get > note.txt'],
      run: get,
    },
    set: {
      summary: 'put text on the clipboard of all devices',
      examples: ['skein clip set "hello"', 'git diff | skein clip set'],
      words: [{ notation: '[text]', about: 'the text (default: standard input)' }],
      run: set,
    },
    history: {
      summary: 'earlier items',
      examples: ['skein clip history', 'skein clip history --search invoice'],
      options: [
        { notation: '-n, --lines <count>', about: `newest items shown (default ${defaultItems})` },
        { notation: '--search <text>', about: 'only items that hold this' },
      ],
      run: history,
    },
  },
}

/** Byte for byte to a pipe; made harmless on a terminal, where a copied escape sequence would act. */
async function get(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('clipGet', {}))
  call.terminal.json(found)
  if (call.terminal.isJson) return exitCodes.ok
  if (found.item === undefined || found.text === undefined) {
    call.terminal.say(found.item === undefined ? 'The clipboard is empty.' : 'The newest item is no text.')
    return exitCodes.failed
  }
  const isShown = process.stdout.isTTY
  call.terminal.write(
    isShown
      ? `${found.text
          .split('\n')
          .map((line) => safe`${line}`)
          .join('\n')}\n`
      : found.text,
  )
  return exitCodes.ok
}

async function set(call: Invocation): Promise<number> {
  const text = call.words[0] ?? (await readInput())
  const item = await withPeer(call, (client) => client.call('clipSet', { text }))
  call.terminal.json(item)
  call.terminal.say(`${formatSize(item.sizeBytes)} on the clipboard`)
  return exitCodes.ok
}

async function readInput(): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    sizeBytes += bytes.byteLength
    if (sizeBytes > limits.messageBytes) {
      throw new SkeinError('limit.exceeded', 'more text than the clipboard takes', {
        fix: `at most ${formatSize(limits.messageBytes)}; share larger things as files`,
      })
    }
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function history(call: Invocation): Promise<number> {
  const limit = parseCount(textOption(call, 'lines') ?? String(defaultItems))
  const query = textOption(call, 'search')
  const params = query === undefined ? { limit } : { limit, query }
  const items = await withPeer(call, (client) => client.call('clipHistory', params))
  call.terminal.json(items)
  const rows = items.map((item) => [
    formatTime(item.atMs),
    item.deviceName,
    formatSize(item.sizeBytes),
    item.text?.replace(/\s+/g, ' ').slice(0, previewLength) ?? item.mediaType,
  ])
  if (items.length === 0) {
    call.terminal.say(query === undefined ? 'The clipboard is empty.' : 'No item holds that.')
    return exitCodes.ok
  }
  call.terminal.print(formatTable(['WHEN', 'FROM', 'SIZE', 'ITEM'], rows))
  return exitCodes.ok
}
