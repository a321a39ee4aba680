/**
 * `skein console`: opens the web console of this device in a browser, by a link that is good once and for a minute. The
 * link is handed to the system's opener as an argument, which other users of this machine may see while it runs. (A file
 * that only its owner may read and that leads there is no way around: sandboxed browsers cannot read it, and the console
 * answers no page that another one leads to.) So that link is good for a browser of the same user alone, on Linux, which
 * can tell; elsewhere whoever is faster wins, and the loser is told. `--print` shows it here alone.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ConsoleLink } from '../../peer/api-console.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { ensurePeer, withPeer } from '../running-peer.ts'
import { formatTable, formatTime, safe } from '../terminal.ts'

export const webConsole: Command = {
  summary: 'the web console of this device',
  examples: [
    'skein console           opens a browser',
    'skein console --print   shows the link',
    'skein console list      which browsers are in',
    'skein console end ID    puts one out',
  ],
  options: [{ notation: '--print', about: 'show the link and open nothing' }],
  verbs: {
    list: { summary: 'browsers that are in', examples: ['skein console list'], run: list },
    end: {
      summary: 'put a browser out',
      examples: ['skein console end 3f9a2c'],
      words: [{ notation: '<id>', about: 'its id, from console list' }],
      run: end,
    },
  },
  run: open,
}

async function open(call: Invocation): Promise<number> {
  using peer = await ensurePeer(call)
  const isShown = isSet(call, 'print') || call.terminal.isJson
  const opener = isShown ? undefined : findOpener(process.platform, process.env)
  const link = await peer.client.call('consoleOpen', opener === undefined ? {} : { isForOwnUser: true })
  const isOpened = opener !== undefined && (await openBrowser(opener, link.url))
  call.terminal.json(link)
  if (isOpened) call.terminal.print('The console opens in your browser.')
  else call.terminal.print(describeLink(link))
  return exitCodes.ok
}

/** For those who start the peer as well. */
export const describeLink = ({ url }: ConsoleLink): string =>
  safe`Console: ${url}\n  good once, within a minute; a new link: skein console`

interface Opener {
  readonly file: string
  readonly args: readonly string[]
}

/** @returns undefined where nobody would see it. */
export function findOpener(
  platform: NodeJS.Platform,
  variables: Readonly<Record<string, string | undefined>>,
): Opener | undefined {
  if (platform === 'darwin') return { file: 'open', args: [] }
  // because: `start` is no program but a word of the shell, which would read the link's characters
  if (platform === 'win32') return { file: 'rundll32', args: ['url.dll,FileProtocolHandler'] }
  const hasDisplay = Boolean(variables['DISPLAY']) || Boolean(variables['WAYLAND_DISPLAY'])
  return hasDisplay ? { file: 'xdg-open', args: [] } : undefined
}

/** @returns false when there is nothing to open it with. */
async function openBrowser(opener: Opener, url: string): Promise<boolean> {
  const child = spawn(opener.file, [...opener.args, url], { detached: true, stdio: 'ignore' })
  try {
    await once(child, 'spawn')
    child.unref()
    return true
  } catch {
    return false // because: no opener is installed; the link is printed instead
  }
}

async function list(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('consoleSessions', {}))
  call.terminal.json(found)
  if (found.length === 0) {
    call.terminal.say('No browser is in: skein console')
    return exitCodes.ok
  }
  const rows = found.map((item) => [
    item.id,
    formatTime(item.createdAtMs),
    formatTime(item.lastSeenMs),
    item.agent,
  ])
  call.terminal.print(formatTable(['ID', 'SINCE', 'LAST SEEN', 'BROWSER'], rows))
  return exitCodes.ok
}

async function end(call: Invocation): Promise<number> {
  const [id = ''] = call.words
  await withPeer(call, (client) => client.call('consoleEnd', { id }))
  call.terminal.json({ id })
  call.terminal.print(safe`session ${id} has ended`)
  return exitCodes.ok
}
