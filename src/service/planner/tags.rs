//! What the tags of images name by now: asked of their registries, through the engines that pull from them.
//!
//! A tag that has moved counts like a changed image. It is looked up for every plan that somebody sends, and only for tiers
//! that ask for it (`pull`): repairs and moves go on with what runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cloud::CloudVm;
use crate::engine::{Engine, Wanted};
use crate::execute::login;
use crate::model::topology::{Pull, Tier};
use crate::model::{Size, TierId, Topology, VmId};

use crate::service::Service;
use crate::service::observed::ObservedState;

/// How long a registry, or an engine, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found out.
#[derive(Debug, Default)]
pub(in crate::service) struct Tags {
    /// The digest of what each tier's tag names.
    pub digests: BTreeMap<TierId, String>,
    /// Why others are not known.
    pub unknown: Vec<String>,
}

impl Service {
    /// Looks up what the tags of a plan's tiers name, and, where containers do not say so themselves, what they were made
    /// from. A registry that does not answer is told, and keeps nothing from going on: what runs stays as it is then.
    pub(in crate::service) async fn look_up_tags(
        &self,
        topology: &Topology,
        wanted: &BTreeMap<TierId, Size>,
        reality: &mut ObservedState,
        vms: &[CloudVm],
    ) -> Tags {
        let asks = |tier: &&Tier| {
            let runs = wanted.get(&tier.id).is_some_and(|size| *size != Size::ZERO);
            runs && tier.pull != Pull::Missing && !tier.image.contains('@')
        };
        let tiers: Vec<&Tier> = topology.tiers.values().filter(asks).collect();
        if tiers.is_empty() {
            return Tags::default();
        }
        let engine = |vm: &VmId| {
            let known = vms.iter().find(|known| known.name == *vm)?;
            let tls = topology.infrastructure.docker.tls.as_ref();
            self.inner.platform.engines().at(&known.endpoint, tls).ok()
        };
        self.look_up_what_runs(&tiers, reality, &engine).await;
        let answering = |vm: &&VmId| !reality.silent.contains_key(*vm);
        let mut images: BTreeMap<&str, Arc<dyn Engine>> = BTreeMap::new();
        for tier in &tiers {
            let own = reality.allocation.places(&tier.id).map(|(vm, _)| vm);
            let others = reality.allocation.vms.keys().chain(&reality.spares.clean);
            let asked = own.chain(others).filter(answering).find_map(&engine);
            if let Some(engine) = asked {
                images.entry(&tier.image).or_insert(engine);
            }
        }
        let looks = images.into_iter().map(|(image, engine)| async move {
            let wanted = Wanted::named(image, login(topology, image));
            let asked = tokio::time::timeout(PATIENCE, engine.digest(&wanted)).await;
            let found = match asked {
                Ok(Ok(digest)) => Ok(digest),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            (image, found)
        });
        let mut tags = Tags::default();
        let mut found: BTreeMap<&str, String> = BTreeMap::new();
        for (image, answer) in join_all(looks).await {
            match answer {
                Ok(Some(digest)) => drop(found.insert(image, digest)),
                // An engine that can't ask.
                Ok(None) => {}
                Err(why) => tags.unknown.push(format!(
                    "it is not known what image '{image}' is by now, so containers that were made from it stay as they are: {why}"
                )),
            }
        }
        for tier in tiers {
            if let Some(digest) = found.get(tier.image.as_str()) {
                tags.digests.insert(tier.id.clone(), digest.clone());
            }
        }
        tags
    }

    /// Asks the engines what containers of these tiers were made from that do not say so.
    async fn look_up_what_runs(
        &self,
        tiers: &[&Tier],
        reality: &mut ObservedState,
        engine: &impl Fn(&VmId) -> Option<Arc<dyn Engine>>,
    ) {
        let places = tiers.iter().flat_map(|tier| {
            let places = reality.allocation.places(&tier.id);
            let open = places.filter(|(vm, held)| held.digest.is_none() && !reality.silent.contains_key(*vm));
            open.map(move |(vm, _)| (vm.clone(), *tier))
        });
        let looks = places.filter_map(|(vm, tier)| {
            let engine = engine(&vm)?;
            Some(async move {
                let asked = engine.digest_of(tier.id.as_str(), &tier.image);
                let digest = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()??;
                Some((vm, tier.id.clone(), digest))
            })
        });
        let looks: Vec<_> = looks.collect();
        for (vm, tier, digest) in join_all(looks).await.into_iter().flatten() {
            if let Some(held) = reality
                .allocation
                .vms
                .get_mut(&vm)
                .and_then(|vm| vm.used.get_mut(&tier))
            {
                held.digest = Some(digest);
            }
        }
    }
}
