/**
 * `skein pair`: on a device of the mesh it opens a window, shows the codes and asks before anything is added; with a
 * code it joins. Ctrl-C closes the window and adds nothing.
 */
import { fromWireError, SkeinError } from '../../base/errors.ts'
import type { Role } from '../../peer/api-device.ts'
import type { PairEvent, PairJoinEvent, PairJoinParams } from '../../peer/api-pairing.ts'
import { roles } from '../../peer/api-device.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { drawQrCode } from '../qr-code.ts'
import { ask } from '../question.ts'
import { ensurePeer, interruptible } from '../running-peer.ts'
import type { Terminal } from '../terminal.ts'
import { formatSpan } from '../../base/quantities.ts'
import { safe } from '../terminal.ts'

export const pair: Command = {
  summary: 'let a device join, or join with a code',
  examples: [
    'skein pair                          on a device of the mesh: shows the codes',
    'skein pair CODE                     on the new device: joins',
    'skein pair - < code.txt             the code from standard input',
    'skein pair CODE --address 10.0.0.5:4001   when the networks do not see each other',
    'skein pair --compare --address 10.0.0.5:4001   compare six digits on both screens',
  ],
  words: [
    { notation: '[code]', about: 'a short or long code of the other device; - reads it from standard input' },
  ],
  options: [
    { notation: '-y, --yes', about: 'let in whoever proves the code, without asking (for scripts)' },
    {
      notation: '--role <role>',
      about: 'what the new device may do: full, limited, storage or guest (default full)',
    },
    { notation: '--address <address>', about: 'where the other device is, when it cannot be found' },
    { notation: '--compare', about: 'join by comparing six digits instead of a code' },
  ],
  run: start,
}

async function start(call: Invocation): Promise<number> {
  const [word] = call.words
  const isJoining = word !== undefined || isSet(call, 'compare')
  const role = parseRole(textOption(call, 'role'))
  using peer = await ensurePeer(call)
  return await interruptible((signal) =>
    isJoining ? joinMesh(call, peer.client, word, signal) : openWindow(call, peer.client, role, signal),
  )
}

function parseRole(text: string | undefined): Role | undefined {
  if (text === undefined) return undefined
  const role = roles.find((known) => known === text)
  if (role !== undefined) return role
  throw new SkeinError('usage', `there is no role "${text}"`, { fix: `it is one of ${roles.join(', ')}` })
}

/** What the window came to. */
interface Outcome {
  joined: string | undefined
  failure: SkeinError | undefined
}

async function openWindow(
  call: Invocation,
  client: Client,
  role: Role | undefined,
  signal: AbortSignal,
): Promise<number> {
  const outcome: Outcome = { joined: undefined, failure: undefined }
  for await (const event of client.stream('pair', role === undefined ? {} : { role }, signal)) {
    call.terminal.json(event)
    await onWindowEvent({ call, client, signal }, event, outcome)
  }
  if (outcome.joined !== undefined) return exitCodes.ok
  throw (
    outcome.failure ?? new SkeinError('pair.closed', 'nobody joined', { fix: 'skein pair shows new codes' })
  )
}

interface Window {
  readonly call: Invocation
  readonly client: Client
  readonly signal: AbortSignal
}

async function onWindowEvent(window: Window, event: PairEvent, outcome: Outcome): Promise<void> {
  const { terminal } = window.call
  switch (event.kind) {
    case 'opened':
      return terminal.print(formatOpened(event, terminal))
    case 'code':
      return terminal.print(safe`New code, ${event.codesLeft} left: skein pair ${event.shortCode}`)
    case 'compare':
      return await compareDigits(window, event)
    case 'confirm':
      return await confirm(window, event, outcome)
    case 'joined':
      outcome.joined = event.name
      return terminal.print(safe`"${event.name}" has joined.`)
    case 'failed':
      outcome.failure = fromWireError(event.error)
      return terminal.say(safe`An attempt failed: ${event.error.message}`)
    case 'closed':
      return terminal.say(safe`The window is closed (${event.reason}).`)
  }
}

/** Only a person at each screen can tell: `--yes` means whoever has the code, and here nobody has one. */
async function compareDigits(
  { call, client, signal }: Window,
  { requestId, digits }: { readonly requestId: string; readonly digits: string },
): Promise<void> {
  const canAsk = call.terminal.isInteractive && !call.terminal.isJson
  call.terminal.print(safe`Both screens must show: ${digits}`)
  const accept = canAsk && (await ask('Are they the same?', signal))
  await client.call('pairConfirm', { requestId, accept })
}

function formatOpened(event: PairEvent & { readonly kind: 'opened' }, terminal: Terminal): string {
  const leftMs = event.expiresAtMs - Date.now()
  const words = [
    'On the new device run',
    '',
    safe`  skein pair ${event.shortCode}`,
    '',
    'or scan this code.',
    '',
    `Open for ${formatSpan(leftMs)}.`,
    'Nothing joins before you',
    'confirm it here.',
  ]
  const long = safe`skein pair ${event.longCode}`
  const code = drawQrCode(event.longCode, terminal.hasColour)
  // Beside each other all of it fits on 80 x 24; the long code may scroll away
  const isWide = (terminal.columns ?? 0) >= code.columns + 2 + Math.max(...words.map((line) => line.length))
  if (!isWide) return [long, '', ...code.lines, ...words].join('\n')
  const indentLines = Math.floor((code.lines.length - words.length) / 2)
  return [
    long,
    '',
    ...code.lines.map((line, row) => `${line}  ${words[row - indentLines] ?? ''}`.trimEnd()),
  ].join('\n')
}

async function confirm(
  window: Window,
  event: PairEvent & { readonly kind: 'confirm' },
  outcome: Outcome,
): Promise<void> {
  const { call, client, signal } = window
  call.terminal.print(formatRequest(event))
  const canAsk = call.terminal.isInteractive && !call.terminal.isJson
  const accept = isSet(call, 'yes') || (canAsk && (await ask('Let it in?', signal)))
  await client.call('pairConfirm', { requestId: event.requestId, accept })
  if (accept) return
  outcome.failure = new SkeinError(
    'pair.failed',
    canAsk ? 'you did not let it in' : 'nobody is here to confirm',
    canAsk ? {} : { fix: 'run skein pair in a terminal, or add --yes to let in whoever has the code' },
  )
}

/** One fact a line: a name cannot hold a line break, so it cannot pass for another fact. */
const formatRequest = (event: PairEvent & { readonly kind: 'confirm' }): string =>
  [
    'A device wants to join:',
    safe`  name   ${event.name}`,
    safe`  kind   ${event.deviceKind}`,
    safe`  at     ${event.address}`,
    safe`  peer   ${event.peerId}`,
    safe`  grant  ${event.role}`,
  ].join('\n')

async function joinMesh(
  call: Invocation,
  client: Client,
  word: string | undefined,
  signal: AbortSignal,
): Promise<number> {
  const code = word === '-' ? await readCode() : word
  const address = textOption(call, 'address')
  if (code === undefined && address === undefined) {
    throw new SkeinError('usage', '--compare needs the address of the other device', {
      fix: 'skein pair --compare --address HOST:PORT',
    })
  }
  const params: PairJoinParams = {
    ...(code === undefined ? {} : { code: code.trim() }),
    ...(address === undefined ? {} : { address }),
  }
  let isJoined = false
  for await (const event of client.stream('pairJoin', params, signal)) {
    call.terminal.json(event)
    await onJoinEvent({ call, client, signal }, event)
    isJoined ||= event.kind === 'joined'
  }
  if (isJoined) return exitCodes.ok
  throw new SkeinError('pair.failed', 'the other device ended the pairing', {
    fix: 'ask it for a new code: skein pair',
  })
}

async function onJoinEvent(window: Window, event: PairJoinEvent): Promise<void> {
  const { terminal } = window.call
  switch (event.kind) {
    case 'searching':
      return terminal.say('Looking for the other device ...')
    case 'connected':
      return terminal.say(safe`Connected to ${event.address}`)
    case 'waiting':
      return terminal.say('Now confirm on the other device.')
    case 'compare':
      return await compareDigits(window, event)
    case 'joined':
      return terminal.print(safe`Joined: this device is one of ${event.deviceCount} now.`)
  }
}

async function readCode(): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin) {
    text += String(chunk)
    if (text.includes('\n') || text.length > 4096) break
  }
  return text.split('\n')[0] ?? ''
}
