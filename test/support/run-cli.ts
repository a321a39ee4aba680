/** Runs the command line over the double peer as real processes. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { compileCachePath } from '../../src/program/program.ts'
import { temporaryDirectory } from './temporary-home.ts'

const entry = fileURLToPath(new URL('./double-cli.ts', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly variables?: Readonly<Record<string, string>>
  readonly input?: string
  /** Sees the process and all output so far, each time there is more. */
  readonly watch?: (child: ChildProcess, output: string) => void
}

export interface Cli {
  readonly home: string
  run(args: readonly string[], options?: RunOptions): Promise<Finished>
  /** Result of `--json`. */
  json(args: readonly string[], options?: RunOptions): Promise<unknown>
}

/** A command line for a home of its own, whose peer is ended with the test. */
export async function createCli(): Promise<Cli> {
  const home = join(await temporaryDirectory(), 'home')
  const run: Cli['run'] = (args, options = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [entry, ...args, '--home', home], {
        env: { ...process.env, NODE_COMPILE_CACHE: compileCachePath(), ...options.variables },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      let out = ''
      let err = ''
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
        options.watch?.(child, out + err)
      })
      child.stderr.on('data', (chunk: Buffer) => {
        err += chunk.toString()
        options.watch?.(child, out + err)
      })
      child.stdin.on('error', () => undefined) // because: a command that does not read its input may end first
      child.stdin.end(options.input ?? '')
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, out, err }))
    })
  onTestFinished(async () => void (await run(['down'])))
  return {
    home,
    run,
    async json(args, options) {
      const { out, err } = await run([...args, '--json'], options)
      try {
        return JSON.parse(out)
      } catch (error) {
        throw new Error(`no JSON: ${out} ${err}`, { cause: error })
      }
    },
  }
}
