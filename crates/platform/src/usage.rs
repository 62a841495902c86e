//! How much of the daily allowance somebody has used.

use crate::Platform;
use crate::faults::{OrRefuse, hint};
use aim_domain::usage::usage_limit;
use aim_domain::{CharacterId, Code, Kind, Member, Refusal, Tier, Usage, UsageCount, UserId};
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
        let rows = self.usage_rows(who.user_id()).await?;
        let limit = |kind| usage_limit(who.tier, kind, self.settings.usage_multiplier);
        Ok(UsageReport {
            tier: who.tier,
            limits: UsageLimits { text: limit(Kind::Text), audio: limit(Kind::Audio), image: limit(Kind::Image) },
            characters: rows.into_iter().map(|(id, row)| (id.to_string(), self.usage_view(who, row))).collect(),
        })
    }

    async fn usage_rows(&self, user: &UserId) -> Result<Vec<(CharacterId, UsageCount)>, Refusal> {
        let copies = &self.backbone.usage;
        if let Some(rows) = hint("usage copies", copies.all_of(user).await) {
            return Ok(rows);
        }
        let mark = copies.begin_load(user).await;
        let rows = self.store.usages(user).await.or_refuse()?;
        if let Ok(mark) = mark {
            hint("keep usage copies", copies.keep_all(mark, user, &rows).await);
        }
        Ok(rows)
    }

    pub async fn usage_of(&self, who: &Member, character: &CharacterId) -> Result<Usage, Refusal> {
        if let Err(refusal) = self.character(who, character).await {
            // A guest talks with what is somebody's own.
            if refusal.code != Code::NotFound
                || !self.store.talks_with(who.user_id(), character, true).await.or_refuse()?
            {
                return Err(refusal);
            }
        }
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
