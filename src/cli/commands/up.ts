/** `skein up`: starts the peer in the background and waits until it is ready, or says why it is not. */
import { spawn } from 'node:child_process'
import { hasCode } from '../../base/errors.ts'
import type { Status } from '../../peer/api.ts'
import type { ConsoleLink } from '../../peer/api-console.ts'
import type { Client } from '../client.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption, textsOption } from '../command.ts'
import { daemonNodeOptions } from '../../program/program.ts'
import { exitCodes } from '../exit-codes.ts'
import { daemonVariables, ensurePeer, type StartedPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'
import { describeLink } from './console.ts'

/** Peers that end just when they are asked; more in a row are a fault of their own. */
const attemptsMax = 3

export const up: Command = {
  summary: 'start the background peer',
  examples: [
    'skein up',
    'skein up --name workstation',
    'skein up --home /tmp/second --listen 127.0.0.1:0   a second peer on this machine',
    'skein up --foreground                              for service managers and for watching',
  ],
  options: [
    { notation: '--name <name>', about: 'name of this device, on its first start (default: the host name)' },
    { notation: '--kind <kind>', about: 'desktop, laptop, server, phone, tablet, browser or other' },
    {
      notation: '--listen <address...>',
      about: 'addresses to listen on, such as 192.168.1.5:4001 or [::]:0',
    },
    { notation: '--interface <name...>', about: 'look for peers on these network interfaces only' },
    { notation: '--no-discovery', about: 'do not look for peers by multicast' },
    { notation: '--log-level <level>', about: 'debug, info, warn or error' },
    { notation: '--no-console', about: 'no web console' },
    { notation: '--console-port <port>', about: 'port of the web console (default 4780, or any free one)' },
    { notation: '--no-clipboard', about: 'leave this desktop out of the clipboard' },
    { notation: '--foreground', about: 'stay, and log to standard error' },
  ],
  run: start,
}

async function start(call: Invocation): Promise<number> {
  const daemonArgs = readDaemonArgs(call)
  if (isSet(call, 'foreground')) return await runInForeground(call, daemonArgs)
  const { peer: reached, found } = await reachPeer(call, daemonArgs)
  using peer = reached
  const link = await openConsole(peer.client)
  call.terminal.json({ ...found, wasRunning: peer.wasRunning, ...(link !== undefined && { console: link }) })
  const how = peer.wasRunning ? 'was already up' : 'is up'
  call.terminal.print(safe`skein ${how} as "${found.name}" (process ${found.pid}, home ${found.home})`)
  if (peer.wasRunning && daemonArgs.length > 0) {
    call.terminal.say(
      'It keeps the options it was started with; to change them: skein down, then skein up again.',
    )
  }
  for (const { message, fix } of found.problems) {
    call.terminal.say(safe`! ${message}`)
    if (fix !== undefined) call.terminal.say(safe`  fix: ${fix}`)
  }
  if (link !== undefined) call.terminal.print(describeLink(link))
  if (found.links.length === 0) {
    call.terminal.say('Next: skein pair on one device shows a code, skein pair CODE on the other joins.')
  }
  return exitCodes.ok
}

/** A peer that ends in this very moment may still take the connection, and never answer: then another one is started. */
async function reachPeer(
  call: Invocation,
  daemonArgs: readonly string[],
): Promise<{ readonly peer: StartedPeer; readonly found: Status }> {
  for (let attempt = 1; ; attempt++) {
    const peer = await ensurePeer(call, daemonArgs)
    try {
      return { peer, found: await peer.client.call('status', {}) }
    } catch (error) {
      peer[Symbol.dispose]()
      if (!peer.wasRunning || attempt === attemptsMax || !hasCode(error, 'not.running')) throw error
    }
  }
}

/** @returns undefined when it is switched off, or the peer that runs is older than it. */
async function openConsole(client: Client): Promise<ConsoleLink | undefined> {
  try {
    return await client.call('consoleOpen', {})
  } catch (error) {
    if (hasCode(error, 'not.running', 'rpc.unknown')) return undefined
    throw error
  }
}

function readDaemonArgs(call: Invocation): readonly string[] {
  const args: string[] = []
  for (const [option, name] of [
    ['--name', 'name'],
    ['--kind', 'kind'],
    ['--log-level', 'logLevel'],
    ['--console-port', 'consolePort'],
  ] as const) {
    const value = textOption(call, name)
    if (value !== undefined) args.push(`${option}=${value}`)
  }
  args.push(...textsOption(call, 'listen').map((address) => `--listen=${address}`))
  args.push(...textsOption(call, 'interface').map((name) => `--interface=${name}`))
  if (call.options['discovery'] === false) args.push('--no-discovery')
  if (call.options['console'] === false) args.push('--no-console')
  if (call.options['clipboard'] === false) args.push('--no-clipboard')
  return args
}

/** Signals of the terminal reach the peer by themselves; those sent to this process are passed on. */
async function runInForeground(call: Invocation, daemonArgs: readonly string[]): Promise<number> {
  const child = spawn(
    process.execPath,
    [...daemonNodeOptions, call.daemonEntry, '--home', call.home, ...daemonArgs],
    {
      stdio: 'inherit',
      env: daemonVariables(),
    },
  )
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal)
  const stay = (): void => undefined
  process.on('SIGTERM', pass)
  process.on('SIGHUP', pass)
  process.on('SIGINT', stay) // the whole foreground group gets Ctrl-C: a second one would cut the drain short
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code) => resolve(code ?? exitCodes.failed))
    })
  } finally {
    process.off('SIGTERM', pass)
    process.off('SIGHUP', pass)
    process.off('SIGINT', stay)
  }
}
