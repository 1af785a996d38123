// Package provenance writes down how an image came to be, in a form that tools
// which know nothing of imgflow can check: an in-toto statement (version 1) with a
// SLSA provenance predicate (version 1), in a DSSE envelope.
//
//	s, err := provenance.Of(run)        // from what a run has recorded
//	e, err := provenance.Seal(s, key)   // key may be nil: then nobody has signed it
//	s, by, err := provenance.Open(text, keys)
//
// # What a statement says
//
// Its subjects are the images, and the volumes that were kept. EC2 tells no digest of
// an image's content, so a subject has what is unique about it instead: the
// digest set holds "awsId", the id of the image, and the annotation
// "imgflowKey" is the key of the step that has made it, the SHA-256 of everything
// the image was made from.
//
//	buildDefinition.externalParameters    template, its digest, variables that are not secret
//	buildDefinition.internalParameters    every step: kind, key, keys of what it read, files, times
//	buildDefinition.resolvedDependencies  source images
//	runDetails.builder                    imgflow and its version
//	runDetails.metadata                   the run's id, its beginning and its end
//	runDetails.byproducts                 lists of what is installed (SBOM), with their digests
//
// Nothing secret is in a statement: keys hold keyed digests of secrets, and settings
// are not in it.
//
// # Keys
//
// A private key is a file in PEM (PKCS #8, or of OpenSSH) with an Ed25519 key or an
// ECDSA key on P-256, such as `ssh-keygen -t ed25519` or `openssl genpkey` make. A public
// key is one in PEM (SubjectPublicKeyInfo) or a line as OpenSSH has it. An ECDSA
// signature is ASN.1 over SHA-256, an Ed25519 signature is over the text itself, as other
// implementations of DSSE have it.
//
// Sources: in-toto.io/Statement/v1, slsa.dev/provenance/v1, and the DSSE protocol
// (github.com/secure-systems-lab/dsse).
package provenance
