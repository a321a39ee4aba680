/**
 * Folders kept the same by two real peers in two network namespaces, judged from outside by looking at the files, with
 * rsync, unison and syncthing doing the same in the same run where they are installed. The scenarios are in
 * sides/folder-scenarios.ts. Arguments: `--only NAME-PART`, `--runs N` (3), `--peers a,b` (all), `--scale PERCENT`. Needs root.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLab } from '../test/support/netns.ts'
import type { BenchContext } from './bench-harness.ts'
import { costOf, type FolderPeer, others, skein } from './sides/folder-pairs.ts'
import { type Measured, type Scenario, scenarios } from './sides/folder-scenarios.ts'

export const name = 'files'
export const about = 'folders kept the same by two peers in two network namespaces'
export const figures = scenarios.flatMap((scenario) => Object.keys(scenario.units))
export const timeoutMs = 3 * 3_600_000

export async function run(context: BenchContext): Promise<void> {
  const only = option(context, '--only') ?? ''
  const runs = Number(option(context, '--runs') ?? (context.isQuick ? 1 : 3))
  const wanted = option(context, '--peers')?.split(',')
  const scale = Number(option(context, '--scale') ?? 100) / 100
  const present = [skein, ...others.filter((peer) => isInstalled(peer.name))].filter(
    (peer) => wanted?.includes(peer.name) ?? true,
  )
  const chosen = scenarios.filter((scenario) =>
    Object.keys(scenario.units).some((figure) => figure.includes(only)),
  )
  const failed: string[] = []
  for (const scenario of chosen) {
    const results = new Map<FolderPeer, readonly Measured[]>()
    for (const peer of present) {
      if (peer !== skein && !scenario.others.includes(peer.name)) continue
      const measured: Measured[] = []
      for (let index = 0; index < runs && !context.signal.aborted; index++) {
        try {
          measured.push(await runOnce(context, scenario, peer, scale))
        } catch (error) {
          failed.push(`${scenario.title} with ${peer.name}`)
          context.progress(
            `FAILED ${scenario.title} with ${peer.name}: ${error instanceof Error ? error.message : String(error)}`,
          )
          break
        }
      }
      if (measured.length > 0) results.set(peer, measured)
    }
    report(context, scenario, results)
  }
  if (failed.length > 0) throw new Error(`not measured: ${failed.join('; ')}`)
}

async function runOnce(
  context: BenchContext,
  scenario: Scenario,
  peer: FolderPeer,
  scale: number,
): Promise<Measured> {
  const root = mkdtempSync(join(tmpdir(), 'skein-bench-'))
  const place = { near: join(root, 'near'), far: join(root, 'far'), state: join(root, 'state') }
  for (const directory of Object.values(place)) mkdirSync(directory)
  const timeout = AbortSignal.any([context.signal, AbortSignal.timeout(scenario.timeoutMs)])
  try {
    await using lab = await createLab({ hosts: 2, withDefaultRoute: true })
    await scenario.prepare?.(place, scale)
    await using pair = await peer.start({ ...place, lab })
    const before = costOf(pair.pids()).cpuSeconds
    const measured = await scenario.measure({ pair, lab, scale, signal: timeout, spare: join(root, 'spare') })
    const { cpuSeconds, peakMiB } = costOf(pair.pids())
    const cost =
      peakMiB.length === 0
        ? ''
        : `, CPU ${(cpuSeconds - before).toFixed(2)} s, peak ${peakMiB.join(' + ')} MiB`
    const values = Object.entries(measured).map(
      ([figure, value]) => `${figure} ${Number(value.toPrecision(4))}`,
    )
    context.progress(`${peer.name}: ${values.join(', ')}${cost}`)
    return measured
  } finally {
    rmSync(root, { recursive: true, force: true, maxRetries: 3 })
  }
}

function report(
  context: BenchContext,
  scenario: Scenario,
  results: ReadonlyMap<FolderPeer, readonly Measured[]>,
): void {
  for (const [figure, unit] of Object.entries(scenario.units)) {
    const medianOf = (peer: FolderPeer): number | undefined => {
      const values = (results.get(peer) ?? []).flatMap((measured) => measured[figure] ?? [])
      return values.length === 0 ? undefined : context.median(values)
    }
    const mine = medianOf(skein)
    const runs = results.get(skein)?.length ?? 0
    if (mine === undefined) continue
    const beside = others.flatMap((peer) => {
      const value = medianOf(peer)
      return value === undefined ? [] : [{ peer: peer.name, value }]
    })
    if (beside.length === 0) context.report(figure, mine, unit, { runs })
    for (const { peer, value } of beside.toSorted((a, b) => a.value - b.value)) {
      context.report(figure, mine, unit, {
        runs,
        peer,
        ratio: mine / value,
        note: `${peer} ${value.toPrecision(3)} ${unit}`,
      })
    }
  }
}

function option(context: BenchContext, wanted: string): string | undefined {
  const at = context.args.indexOf(wanted)
  return at === -1 ? undefined : context.args[at + 1]
}

function isInstalled(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' })
    return true
  } catch {
    return false // because: the shell says so by its exit code
  }
}
