/** `skein clip`: the clipboard that all devices share, what was on it before, and whether this desktop takes part. */
import { formatSize, formatSpan } from '../../base/quantities.ts'
import { SkeinError } from '../../base/errors.ts'
import type { ClipItem } from '../../peer/api-clipboard.ts'
import { formatClipState } from '../clip-line.ts'
import type { Command, Invocation, Notation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { ask } from '../question.ts'
import { withPeer } from '../running-peer.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'
import { get, set } from './clip-content.ts'
import { parseCount } from './logs.ts'
import { parseSpan } from './token.ts'

const defaultItems = 20
const previewLength = 60
/** Shown of an id; any start of it that is the only one will do. */
const idLength = 8

const oneItem: readonly Notation[] = [
  { notation: '<id>', about: 'of the item, or its start: skein clip history' },
]
const listOptions: readonly Notation[] = [
  { notation: '-n, --lines <count>', about: `newest items shown (default ${defaultItems})` },
  { notation: '--pinned', about: 'only pinned ones' },
]

export const clip: Command = {
  summary: 'the shared clipboard',
  examples: [
    'echo hello | skein clip set',
    'skein clip get > note.txt',
    'skein clip search invoice',
    'skein clip pause --for 10m',
  ],
  run: show,
  verbs: {
    get: {
      summary: 'print the newest item, or an earlier one, as it is',
      examples: ['skein clip get', 'skein clip get > picture.png', 'skein clip get 0h3k --type text/html'],
      words: [{ notation: '[id]', about: 'of an earlier item, or its start' }],
      options: [{ notation: '--type <type>', about: 'which of its formats (default: text, else the first)' }],
      run: get,
    },
    set: {
      summary: 'put something on the clipboard of all devices',
      examples: ['skein clip set "hello"', 'git diff | skein clip set', 'skein clip set < picture.png'],
      words: [{ notation: '[text]', about: 'the text (default: standard input)' }],
      options: [{ notation: '--type <type>', about: 'media type (default: text, or by the first bytes)' }],
      run: set,
    },
    history: {
      summary: 'earlier items',
      examples: ['skein clip history', 'skein clip history --pinned'],
      options: [...listOptions, { notation: '--search <text>', about: 'only items that hold this' }],
      run: (call) => list(call, textOption(call, 'search')),
    },
    search: {
      summary: 'earlier items that hold a text, in any case',
      examples: ['skein clip search invoice'],
      words: [{ notation: '<text>', about: 'what to look for' }],
      options: listOptions,
      run: (call) => list(call, call.words[0]),
    },
    paste: {
      summary: 'make an earlier item the newest again, on all devices',
      examples: ['skein clip paste 0h3k9d'],
      words: oneItem,
      run: (call) => change(call, 'clipPaste', 'is the newest again'),
    },
    pin: {
      summary: 'keep an item when others go',
      examples: ['skein clip pin 0h3k9d'],
      words: oneItem,
      run: (call) => change(call, 'clipPin', 'is pinned'),
    },
    unpin: {
      summary: 'let an item go with the others',
      examples: ['skein clip unpin 0h3k9d'],
      words: oneItem,
      run: (call) => change(call, 'clipUnpin', 'is not pinned any more'),
    },
    delete: {
      summary: 'delete an item on all devices',
      examples: ['skein clip delete 0h3k9d'],
      words: oneItem,
      run: (call) => change(call, 'clipDelete', 'is deleted on all devices'),
    },
    clear: {
      summary: 'delete all items that are not pinned, on all devices',
      examples: ['skein clip clear', 'skein clip clear --pinned --yes'],
      options: [
        { notation: '--pinned', about: 'the pinned ones as well' },
        { notation: '-y, --yes', about: 'do not ask' },
      ],
      run: clear,
    },
    pause: {
      summary: 'take this desktop out: nothing is read, nothing offered',
      examples: ['skein clip pause', 'skein clip pause --for 10m'],
      options: [{ notation: '--for <time>', about: 'goes on by itself after 90s, 15m, 8h or 7d' }],
      run: pause,
    },
    resume: { summary: 'take part again', examples: ['skein clip resume'], run: resume },
  },
}

async function show(call: Invocation): Promise<number> {
  const state = await withPeer(call, (client) => client.call('clipState', {}))
  call.terminal.json(state)
  call.terminal.print(formatClipState(state))
  return exitCodes.ok
}

async function list(call: Invocation, query: string | undefined): Promise<number> {
  const limit = parseCount(textOption(call, 'lines') ?? String(defaultItems))
  const params = {
    limit,
    ...(query !== undefined && { query }),
    ...(isSet(call, 'pinned') && { pinned: true }),
  }
  const items = await withPeer(call, (client) => client.call('clipHistory', params))
  call.terminal.json(items)
  if (items.length === 0) {
    call.terminal.say(query === undefined ? 'The clipboard is empty.' : 'No item holds that.')
    return exitCodes.ok
  }
  const rows = items.map((item) => [
    `${item.id.slice(0, idLength)}${item.isPinned ? ' *' : ''}`,
    item.problem === undefined ? formatTime(item.atMs) : '',
    item.deviceName,
    item.problem === undefined ? formatSize(item.sizeBytes) : '',
    previewOf(item),
  ])
  call.terminal.print(formatTable(['ID', 'WHEN', 'FROM', 'SIZE', 'ITEM'], rows))
  if (items.some((item) => item.isPinned)) call.terminal.say('* pinned')
  return exitCodes.ok
}

function previewOf({ problem, files, text, mediaType }: ClipItem): string {
  if (problem !== undefined) return `(${problem})`
  if (files !== undefined) return `files: ${files.join(', ').slice(0, previewLength)}`
  return text?.replace(/\s+/g, ' ').slice(0, previewLength) ?? mediaType
}

async function change(
  call: Invocation,
  verb: 'clipPaste' | 'clipPin' | 'clipUnpin' | 'clipDelete',
  outcome: string,
): Promise<number> {
  const [id = ''] = call.words
  const item = await withPeer(call, (client) => client.call(verb, { id }))
  call.terminal.json(item)
  call.terminal.print(safe`${previewOf(item)} ${outcome}`)
  return exitCodes.ok
}

async function clear(call: Invocation): Promise<number> {
  const pinned = isSet(call, 'pinned')
  if (!isSet(call, 'yes')) {
    if (!call.terminal.isInteractive) {
      throw new SkeinError('usage', 'clearing the clipboard of all devices has to be confirmed', {
        fix: 'skein clip clear --yes',
      })
    }
    if (!(await ask('Delete the history of the clipboard on all devices?'))) return exitCodes.failed
  }
  const { count } = await withPeer(call, (client) => client.call('clipClear', pinned ? { pinned } : {}))
  call.terminal.json({ count })
  call.terminal.print(count === 1 ? '1 item is deleted' : `${count} items are deleted`)
  return exitCodes.ok
}

async function pause(call: Invocation): Promise<number> {
  const span = textOption(call, 'for')
  const forMs = span === undefined ? undefined : parseSpan(span)
  const state = await withPeer(call, (client) =>
    client.call('clipPause', forMs === undefined ? {} : { forMs }),
  )
  call.terminal.json(state)
  call.terminal.print(
    forMs === undefined
      ? 'This desktop takes no part in the clipboard until: skein clip resume'
      : `This desktop takes no part in the clipboard for ${formatSpan(forMs)}`,
  )
  return exitCodes.ok
}

async function resume(call: Invocation): Promise<number> {
  const state = await withPeer(call, (client) => client.call('clipResume', {}))
  call.terminal.json(state)
  call.terminal.print(formatClipState(state))
  return exitCodes.ok
}
