"""What belongs into one chart: its title, and a pattern of names and their labels."""

CHARTS = {
    'cross-entropy': 'loss_ce_(.+)',
    'mimicking loss': 'loss_mimic_(.+)',
    'validation accuracy (%)': 'branch/(.+)',
    'divergence, teacher to student': 'kl_(.+)',
    'cosine of gradients, whole loss': 'cosine_(stage.+)',
    'cosine of gradients, cross-entropy': 'cosine_ce_(stage.+)',
    'CKA of features': 'cka_(.+)',
}
