/** One line over time, by uPlot; in a chunk of its own. */
import UPlot from 'uplot'

export interface Plot {
  show(points: readonly (readonly [number, number])[]): void
  destroy(): void
}

const heightPx = 140
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' })

export function createPlot(place: HTMLElement, unit: string): Plot {
  const ink = getComputedStyle(place).color
  const axis = { stroke: ink, grid: { stroke: ink, width: 0.15 }, ticks: { show: false }, size: 44 }
  const plot = new UPlot(
    {
      width: Math.max(200, place.clientWidth),
      height: heightPx,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [
        {
          ...axis,
          size: 28,
          space: 80,
          values: (_plot, ticks) => ticks.map((tick) => clock.format(tick * 1000)),
        },
        { ...axis, values: (_plot, ticks) => ticks.map((tick) => String(tick)) },
      ],
      series: [
        {},
        {
          label: unit,
          points: { show: false },
          stroke: '#1a8f99',
          width: 2,
          fill: 'rgba(26, 143, 153, 0.15)',
        },
      ],
    },
    [[], []],
    place,
  )
  const watch = new ResizeObserver(() =>
    plot.setSize({ width: Math.max(200, place.clientWidth), height: heightPx }),
  )
  watch.observe(place)
  return {
    show(points) {
      plot.setData([points.map(([atMs]) => atMs / 1000), points.map(([, value]) => value)])
    },
    destroy() {
      watch.disconnect()
      plot.destroy()
    },
  }
}
