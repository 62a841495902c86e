//! How much of the daily allowance somebody has used.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_domain::usage::usage_limit;
use aim_domain::{CharacterId, Kind, Member, Refusal, Tier, Usage, UsageCount};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What may be sent in 24 hours to one character; null without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageLimits {
    pub text: Option<u64>,
    pub audio: Option<u64>,
    pub image: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    pub tier: Tier,
    pub limits: UsageLimits,
    /// By character id: those used in the last 24 hours.
    pub characters: BTreeMap<String, Usage>,
}

impl Platform {
    pub async fn usage(&self, who: &Member) -> Result<UsageReport, Refusal> {
        let rows = self.store.usages(who.user_id()).await.or_refuse()?;
        let limit = |kind| usage_limit(who.tier, kind, self.settings.usage_multiplier);
        Ok(UsageReport {
            tier: who.tier,
            limits: UsageLimits { text: limit(Kind::Text), audio: limit(Kind::Audio), image: limit(Kind::Image) },
            characters: rows.into_iter().map(|(id, row)| (id.to_string(), self.usage_view(who, row))).collect(),
        })
    }

    pub async fn usage_of(&self, who: &Member, character: &CharacterId) -> Result<Usage, Refusal> {
        self.character(who, character).await?;
        let row = match hint("a usage copy", self.backbone.usage.of(who.user_id(), character).await) {
            Some(row) => row,
            None => {
                let row = self.store.usage(who.user_id(), character).await.or_refuse()?;
                hint("keep a usage copy", self.backbone.usage.keep(who.user_id(), character, row).await);
                row
            }
        };
        Ok(self.usage_view(who, row))
    }

    pub(crate) fn usage_view(&self, who: &Member, row: UsageCount) -> Usage {
        Usage::of(row, who.tier, self.settings.usage_multiplier, self.ambient.now())
    }
}
