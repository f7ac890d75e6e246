// Brings what people write into a form into one form each.

const countries = {
  germany: 'DE', deutschland: 'DE', de: 'DE',
  austria: 'AT', österreich: 'AT', at: 'AT',
  switzerland: 'CH', schweiz: 'CH', suisse: 'CH', ch: 'CH',
  france: 'FR', fr: 'FR',
  'united states': 'US', usa: 'US', us: 'US',
}

const prefixes = {DE: '+49', AT: '+43', CH: '+41', FR: '+33', US: '+1'}

// Addresses at these are of people, not of companies.
const mailers = ['gmail.com', 'gmx.de', 'outlook.com', 'yahoo.com', 'proton.me']

// "ada  LOVELACE" is Ada Lovelace.
function titled(name) {
  return name.trim().toLowerCase().replace(/\s+/g, ' ').replace(/(^|[ -])(\S)/g, (all, before, letter) => before + letter.toUpperCase())
}

// "0171 / 234-56", "0049 171 23456" and "+49 (171) 23456" are the same number.
function international(phone, country) {
  const digits = phone.replace(/[^\d+]/g, '').replace(/^00/, '+')
  if (digits.startsWith('+') || digits === '') return digits
  return (prefixes[country] ?? '+') + digits.replace(/^0/, '')
}

// "€ 12.500,00", "12,500.00 EUR", "12 500" and "12.5k" are 12500. The last
// separator is the decimal one, unless three digits follow it.
function amount(text) {
  const thousands = /\dk\b/i.test(text) ? 1000 : 1
  let number = text.replace(/[^\d.,]/g, '').replace(/[.,](?=\d{3}(\D|$))/g, '')
  number = number.replace(/[.,](?=.*[.,])/g, '').replace(',', '.')
  return number === '' ? 0 : Math.round(Number(number) * thousands * 100) / 100
}

function main({name, email, phone, country, budget}) {
  const code = countries[country.trim().toLowerCase()] ?? 'other'
  const address = email.trim().toLowerCase()
  if (!/^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(address)) {
    throw new Error(`${JSON.stringify(email)} is no address`)
  }
  return {
    name: titled(name),
    email: address,
    phone: international(phone, code),
    country: code,
    budget: amount(budget),
    company: !mailers.includes(address.split('@')[1]),
  }
}
