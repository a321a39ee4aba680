/**
 * A real X server for tests and benches: Xvfb on a free number, ended by its process id. It can go away and come back
 * under the same number, like a session that ends and begins again.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'

export interface XTestDisplay extends AsyncDisposable {
  /** `:7`. */
  readonly name: string
  /** The environment for programs of this display. */
  readonly variables: Readonly<Record<string, string>>
  /** Like a crash of the server: every program of the display is cut off. */
  stop(): Promise<void>
  /** Under the same number, without anything that was there. */
  start(): Promise<void>
  /** `xclip -o`: what the clipboard holds, as an independent program reads it. */
  readByXclip(target: string): Promise<Buffer>
  /** `xclip -i`. */
  copyByXclip(target: string, content: Uint8Array): Promise<void>
}

/** @param cookieFile of the cookies that open the display; without it everybody may. */
export async function startXDisplay(cookieFile?: string): Promise<XTestDisplay> {
  const auth = cookieFile === undefined ? [] : ['-auth', cookieFile]
  let { server, number } = await runAnyServer(auth)
  const name = `:${number}`
  const variables = { PATH: process.env['PATH'] ?? '', DISPLAY: name }
  const xclip = (...args: readonly string[]): ChildProcess => {
    const stdio = ['pipe', args.includes('-o') ? 'pipe' : 'ignore', 'ignore'] as const
    return spawn('xclip', ['-selection', 'clipboard', ...args], { env: variables, stdio: [...stdio] })
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill(signal)
    await once(server, 'exit')
  }
  return {
    name,
    variables,
    stop: () => end('SIGKILL'),
    async start() {
      server = await runServer(number, auth)
    },
    async readByXclip(target) {
      const child = xclip('-o', '-t', target)
      child.stdin?.end()
      const chunks: Buffer[] = []
      // because: its output is a pipe of bytes
      for await (const chunk of child.stdout ?? []) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    },
    async copyByXclip(target, content) {
      const child = xclip('-i', '-t', target)
      child.stdin?.end(content)
      await once(child, 'exit')
    },
    async [Symbol.asyncDispose]() {
      await end('SIGTERM')
      // A server that crashed leaves them
      for (const path of [`/tmp/.X11-unix/X${number}`, `/tmp/.X${number}-lock`])
        await rm(path, { force: true })
    },
  }
}

const firstNumber = 100
const numbers = 50_000
let taken = 0

/** On a number of this process: it must still be free when the server comes back to it. */
async function runAnyServer(auth: readonly string[]): Promise<{ server: ChildProcess; number: number }> {
  for (let attempt = 0; ; attempt++) {
    const number = firstNumber + ((process.pid * 16 + taken++) % numbers)
    try {
      return { server: await runServer(number, auth), number }
    } catch (error) {
      if (attempt === 20) throw error
    }
  }
}

async function runServer(number: number, auth: readonly string[]): Promise<ChildProcess> {
  const options = ['-displayfd', '3', '-screen', '0', '320x240x24', '-noreset', '-nolisten', 'tcp']
  const server = spawn('Xvfb', [`:${number}`, ...options, ...auth], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  let said = ''
  server.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ready = Promise.withResolvers<void>()
  server.stdio[3]?.once('data', () => ready.resolve())
  server.once('error', ready.reject)
  server.once('exit', () => ready.reject(new Error(`Xvfb ended: ${said.trim()}`)))
  await ready.promise
  return server
}
