//! Instances like those of real planners, from a seed: fresh plans, re-plans, pinned tiers.

use mapek_solve::{Amount, Instance, Shape, Tier, Vm, Weights};

/// `SplitMix64`, so that a seed means the same instance everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// Below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        (self.next() % u64::from(n.max(1))) as u32
    }
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

fn tier(ix: usize, cpu: u32, mem: u32, max_node: Option<u32>) -> Tier {
    Tier {
        name: format!("app{}_t{ix}", ix % 10),
        demand: Amount::new(cpu, mem),
        min_node: 1,
        max_node,
        ports: Default::default(),
        rules: Default::default(),
    }
}

fn base(tiers: Vec<Tier>, vms: Vec<Vm>, new_vm: Amount) -> Instance {
    Instance {
        tiers,
        vms,
        shapes: vec![Shape::of(new_vm)],
        max_new: None,
        max_vms: None,
        min_vms: 0,
        weights: Weights::default(),
        cpu_step: 100,
        may_stay: true,
    }
}

const CPUS: [u32; 16] = [1, 1, 1, 2, 2, 2, 3, 4, 4, 4, 6, 8, 8, 12, 20, 32];
const RATIOS: [u32; 7] = [1, 2, 4, 4, 4, 6, 8];

fn demand(dice: &mut Dice) -> (u32, u32) {
    let cpu = dice.pick(&CPUS);
    (cpu, cpu * dice.pick(&RATIOS))
}

/// `n` tiers, no VM yet, VMs of 16 cores and 64 memory units.
pub fn fresh(n: usize, seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let tiers = (0..n)
        .map(|ix| {
            let (cpu, mem) = demand(&mut dice);
            tier(ix, cpu, mem, None)
        })
        .collect();
    base(tiers, Vec::new(), Amount::new(16, 64))
}

/// `n` tiers whose demands moved a little away from what VMs filled one after the other hold.
pub fn replan(n: usize, seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let mut tiers = Vec::new();
    let mut before = Vec::new();
    for ix in 0..n {
        let (cpu, mem) = demand(&mut dice);
        tiers.push(tier(ix, cpu, mem, None));
        let old_cpu = (cpu + dice.below(5)).saturating_sub(2).max(1);
        let old_mem = (mem + dice.pick(&[0, 2, 4, 4, 6, 8])).saturating_sub(4).max(1);
        if !dice.chance(6) {
            before.push((ix, old_cpu, old_mem));
        }
    }
    for i in (1..before.len()).rev() {
        before.swap(i, dice.below(i as u32 + 1) as usize);
    }
    let shape = Amount::new(16, 64);
    let mut vms: Vec<(Amount, Vec<(usize, Amount)>)> = Vec::new();
    for (ix, mut cpu, mut mem) in before {
        // Proportional pieces into the first VMs with room, a new VM when none is left.
        let (whole_cpu, whole_mem) = (cpu, mem);
        let mut at = vms.len().saturating_sub(3);
        while cpu > 0 && mem > 0 {
            if at == vms.len() {
                vms.push((shape, Vec::new()));
            }
            let (free, held) = &mut vms[at];
            at += 1;
            let part = |have: u32, whole: u32| (f64::from(have) / f64::from(whole)).min(1.0);
            let share = part(free.cpu, whole_cpu).min(part(free.mem, whole_mem));
            let mut piece = Amount::new(
                ((f64::from(whole_cpu) * share) as u32).min(cpu),
                ((f64::from(whole_mem) * share) as u32).min(mem),
            );
            if cpu <= free.cpu && mem <= free.mem {
                piece = Amount::new(cpu, mem);
            } else if piece.cpu == cpu || piece.mem == mem {
                // Something of both must be left for the next piece.
                piece.cpu = piece.cpu.min(cpu - 1);
                piece.mem = piece.mem.min(mem - 1);
            }
            if piece.cpu == 0 || piece.mem == 0 {
                continue;
            }
            free.cpu -= piece.cpu;
            free.mem -= piece.mem;
            cpu -= piece.cpu;
            mem -= piece.mem;
            held.push((ix, piece));
        }
    }
    let vms = vms
        .into_iter()
        .filter(|(_, held)| !held.is_empty())
        .enumerate()
        .map(|(ix, (_, held))| Vm {
            name: format!("i-{ix:04}"),
            capacity: shape,
            held,
            spare: false,
            cordoned: false,
        })
        .collect();
    base(tiers, vms, shape)
}

/// `n` tiers that must each be on one VM: two-dimensional vector bin packing.
pub fn pinned(n: usize, seed: u64) -> Instance {
    let mut dice = Dice(seed);
    let tiers = (0..n)
        .map(|ix| tier(ix, 6 + dice.below(40), 24 + dice.below(160), Some(1)))
        .collect();
    base(tiers, Vec::new(), Amount::new(64, 256))
}

/// The family by name.
pub fn family(name: &str, n: usize, seed: u64) -> Option<Instance> {
    match name {
        "fresh" => Some(fresh(n, seed)),
        "replan" => Some(replan(n, seed)),
        "pinned" => Some(pinned(n, seed)),
        _ => None,
    }
}
