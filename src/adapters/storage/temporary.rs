//! Credentials that others may have for a while, for a part of the bucket, from the storage's token service (STS).

use aws_sdk_sts::Client;
use aws_smithy_types::DateTime as Time;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;

use super::{Storage, StorageError, step};

const ASK: &str = "give temporary credentials";

/// The role whose rights such credentials have at most.
#[derive(Debug, Clone)]
pub struct RoleOptions {
    pub arn: String,
    /// The service's URL; `None` is Amazon's of the region.
    pub endpoint: Option<String>,
}

/// Who takes which role.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub arn: String,
    pub client: Client,
}

/// Credentials for what is under a prefix.
#[derive(Debug, Clone)]
pub struct Temporary {
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub session_token: SecretString,
    pub expires_at: DateTime<Utc>,
    /// `None` is Amazon's of the region.
    pub endpoint: Option<String>,
    pub region: String,
    pub bucket: String,
    pub prefix: String,
}

impl Storage {
    /// Whether there is a role to take.
    #[must_use]
    pub fn gives_credentials(&self) -> bool {
        self.role.is_some()
    }

    /// Credentials to upload to what begins so and nothing else, or `None` where no role is configured.
    ///
    /// # Errors
    /// When the service doesn't give them.
    pub async fn temporary(
        &self,
        name: &str,
        prefix: &str,
        seconds: i32,
    ) -> Result<Option<Temporary>, StorageError> {
        let Some(role) = &self.role else { return Ok(None) };
        let prefix = self.key(prefix);
        let assume = role.client.assume_role().role_arn(&role.arn).role_session_name(name);
        let policy = policy(partition(&role.arn), &self.bucket, &prefix);
        let assume = assume.policy(policy).duration_seconds(seconds);
        let given = step(ASK, assume.send()).await?.credentials;
        let failed = |why: &str| StorageError { step: ASK, why: why.to_owned() };
        let given = given.ok_or_else(|| failed("none came"))?;
        let expires_at = time(&given.expiration).ok_or_else(|| failed("they have no end"))?;
        Ok(Some(Temporary {
            access_key_id: given.access_key_id,
            secret_access_key: given.secret_access_key.into(),
            session_token: given.session_token.into(),
            expires_at,
            endpoint: self.public_endpoint.clone(),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            prefix,
        }))
    }
}

/// What the role's rights are cut down to: to upload below the prefix, in parts as well.
fn policy(partition: &str, bucket: &str, prefix: &str) -> String {
    let actions = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Action": actions,
            "Resource": format!("arn:{partition}:s3:::{bucket}/{prefix}*")
        }]
    });
    policy.to_string()
}

/// Of which of Amazon's clouds a name is, such as `aws-cn`: one names nothing of another.
fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
}

fn time(time: &Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::partition;

    #[test]
    fn a_role_and_its_bucket_are_of_one_cloud() {
        for (arn, expected) in [
            ("arn:aws:iam::123456789012:role/uploads", "aws"),
            ("arn:aws-cn:iam::123456789012:role/uploads", "aws-cn"),
            ("arn::iam::x:role/uploads", "aws"),
            ("uploads", "aws"),
        ] {
            assert_eq!(partition(arn), expected, "{arn}");
        }
    }
}
